package coord_test

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/blocking-coordination/coord"
	"github.com/blocking-coordination/coord/internal/work"
)

// grown reports what is there while nothing happens, and judges what must not grow.
func (y *years) grown() {
	kinds := y.kinds()
	all := kinds["all"]
	goroutines, heap := runtime.NumGoroutine(), heapInUse()
	after := time.Since(y.began).Truncate(time.Minute)
	y.Logf("after %v: %d goroutines, %d KiB; keys:%s", after, goroutines, heap>>10, listed(kinds))
	y.mu.Lock()
	lately, n := len(y.signals), y.sums
	y.mu.Unlock()
	if most := 2*lately + 12*(n.seen["coord.Joined"]+n.units+n.rounds+len(y.ids)); all > most {
		y.Errorf("%d keys, and no more than %d have a reason", all, most)
	}
	if most := y.waiting() + 4*len(y.processes); goroutines > most {
		y.Errorf("%d goroutines, and no more than %d have a reason", goroutines, most)
	}
	if most := int64(64<<20 + 2<<10*all); heap > most {
		y.Errorf("%d bytes for %d keys", heap, all)
	}
	y.lively()
}

// kinds counts the keys by what follows the namespace.
func (y *years) kinds() map[string]int {
	kinds := map[string]int{}
	for _, key := range must(y.sky.Store.Keys(y.ctx, "")) {
		kind := strings.Split(key, ":")[1]
		if strings.HasPrefix(key, "blocking:mailbox:") && strings.Contains(key, ":entry:") {
			kind = "mailbox entries"
		}
		kinds[kind]++
		kinds["all"]++
	}
	return kinds
}

func listed(kinds map[string]int) string {
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(&b, " %s %d", kind, kinds[kind])
	}
	return b.String()
}

// waiting is how many coordinators have a goroutine that waits.
func (y *years) waiting() (n int) {
	for _, id := range y.ids {
		if some(id)%3 == 0 {
			n++
		}
	}
	return n
}

// lively: everybody is there and beats, every monitor knows it, and knows of nobody else: all the dead are handled.
func (y *years) lively() {
	for _, id := range y.ids {
		_, a := y.member(id)
		if a == nil {
			y.Errorf("%s is not there long after the last fault", id)
			continue
		}
		last, _ := y.sky.lastBeat(work.Owner{ID: id, Incarnation: a.Incarnation()})
		if silent := time.Since(last); silent > 2*policy.Beat || a.Suspended() != nil {
			y.Errorf("%s beats no more, since %v", id, silent)
		}
	}
	for _, p := range y.processes {
		if r := p.running(); r != nil && r.monitor != nil {
			y.attentive(p.name, r.monitor)
		}
	}
}

func (y *years) attentive(name string, m *coord.Monitor) {
	all := m.Health()
	for _, h := range all {
		if h.State != "healthy" {
			y.Errorf("%s believes that %s/%d is %s", name, h.ID, h.Incarnation, h.State)
		}
	}
	if len(all) != len(y.ids) {
		y.Errorf("%s watches %d, and %d live", name, len(all), len(y.ids))
	}
}
