package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/blocking-coordination/coord/store"
)

// Play is what clients do at the same time: random operations on few keys.
type Play struct {
	Prefix  string // of all keys, with a hash tag; nothing may be there yet
	Seed    uint64
	Clients int
	Each    int                              // operations of each client, at most
	MaxOpen int                              // the clients stop when so many writes are open: an order is hard to find then
	Store   func(client int) store.Store     // what a client works on, recorded
	After   func(history *History, done int) // called after every operation, done of all by then; may be nil
}

const (
	plainKeys = 5
	ttl       = time.Hour // nothing expires here
)

// Run plays it to its end into h.
func (p Play) Run(ctx context.Context, h *History) {
	var all sync.WaitGroup
	var mu sync.Mutex
	done := 0
	after := func() {
		mu.Lock()
		defer mu.Unlock()
		if done++; p.After != nil {
			p.After(h, done)
		}
	}
	for i := range p.Clients {
		c := client{Store: p.Store(i), id: i, prefix: p.Prefix, rnd: rand.New(rand.NewPCG(p.Seed, uint64(i)))}
		all.Go(func() {
			for range p.Each {
				if h.Open() >= p.MaxOpen {
					return
				}
				c.act(ctx)
				after()
			}
		})
	}
	all.Wait()
}

// client is one of them.
type client struct {
	store.Store
	id, made int
	prefix   string
	rnd      *rand.Rand
}

func (c *client) key() string { return fmt.Sprintf("%skey%d", c.prefix, c.rnd.IntN(plainKeys)) }
func (c *client) log() string { return c.prefix + "log" }

// value is one that nobody else writes; every other one can be incremented, a few times before it meets another.
func (c *client) value() []byte {
	c.made++
	if c.made%2 == 0 {
		return []byte(strconv.Itoa((c.id+1)*1_000_000 + c.made*1_000))
	}
	return fmt.Appendf(nil, "v%d.%d", c.id, c.made)
}

// act does one operation. What came of it is the recorder's business.
func (c *client) act(ctx context.Context) {
	switch c.rnd.IntN(9) {
	case 0:
		_ = c.SetEX(ctx, c.key(), c.value(), ttl)
	case 1, 2:
		_, _ = c.Get(ctx, c.key())
	case 3, 4:
		_, _ = c.Incr(ctx, c.key())
	case 5:
		_, _ = c.Expire(ctx, c.key(), 0)
	case 6:
		c.several(ctx)
	case 7:
		c.append(ctx)
	case 8:
		_, _ = c.Get(ctx, c.log()+entryPart+strconv.Itoa(1+c.rnd.IntN(20)))
	}
}

// several are operations in one trip, where the store can.
func (c *client) several(ctx context.Context) {
	store.Batch(ctx, c.Store, []store.Op{
		store.IncrOp(c.key()), store.GetOp(c.log() + tailPart), store.SetEXOp(c.key(), c.value(), ttl), store.GetOp(c.key()),
	})
}

// append appends in one step, where the store can, else it burns a ticket.
func (c *client) append(ctx context.Context) {
	tail := c.log() + tailPart
	if a := store.CapabilitiesOf(c.Store).Append; a != nil {
		_, _ = a.Append(ctx, store.Append{
			Tail: tail, TailTTL: ttl, Entry: c.log() + entryPart, Value: c.value(), TTL: ttl,
		})
		return
	}
	_, _ = c.Incr(ctx, tail)
}
