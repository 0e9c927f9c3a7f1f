package redistest

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands between a client and a server and can lose what the server answers. It is safe for concurrent use.
type Proxy struct {
	Addr string // host:port to connect to

	target   string
	listener net.Listener
	lose     atomic.Bool
	cutting  atomic.Bool
	lost     atomic.Int64
	held     sync.RWMutex // locked while requests are held back
	all      sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil once closed
}

// StartProxy forwards a loopback port of its own to target (host:port) until tb ends.
func StartProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("redistest: %v", err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, listener: l, conns: map[net.Conn]struct{}{}}
	p.all.Go(p.accept)
	tb.Cleanup(p.close)
	return p
}

// BlackHole returns the address of a listener that accepts connections and never answers, until tb ends.
func BlackHole(tb testing.TB) string {
	tb.Helper()
	p := StartProxy(tb, "")
	return p.Addr
}

// LoseAnswers makes the proxy swallow what the server sends from now on; requests still pass.
func (p *Proxy) LoseAnswers(on bool) { p.lose.Store(on) }

// CutNextAnswer makes the proxy close a connection in place of forwarding the next answer; later ones pass.
func (p *Proxy) CutNextAnswer() { p.cutting.Store(true) }

// Hold keeps back what clients send from now on, until Release: then it reaches the server, also where its client has
// given up meanwhile.
func (p *Proxy) Hold() { p.held.Lock() }

// Release undoes Hold, and must follow it.
func (p *Proxy) Release() { p.held.Unlock() }

// Lost counts the answers that were swallowed or cut off, in reads from the server.
func (p *Proxy) Lost() int64 { return p.lost.Load() }

// Cut closes every connection that stands; new ones are accepted.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.Cut()
	p.mu.Lock()
	p.conns = nil
	p.mu.Unlock()
	p.all.Wait()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.all.Go(func() { p.serve(c) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	if !p.keep(client) {
		return
	}
	defer p.drop(client)
	if p.target == "" {
		p.pump(client, client, func(net.Conn, []byte) error { return nil })
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil || !p.keep(server) {
		return
	}
	defer p.drop(server)
	p.all.Go(func() { p.pump(client, server, p.answer) })
	p.pump(server, client, p.ask)
}

func (p *Proxy) ask(dst net.Conn, b []byte) error {
	p.held.RLock()
	defer p.held.RUnlock()
	_, err := dst.Write(b)
	return err
}

func (p *Proxy) answer(dst net.Conn, b []byte) error {
	if p.cutting.CompareAndSwap(true, false) {
		p.lost.Add(1)
		return net.ErrClosed
	}
	if p.lose.Load() {
		p.lost.Add(1)
		return nil
	}
	_, err := dst.Write(b)
	return err
}

// pump ends with either side, and takes the other side with it.
func (p *Proxy) pump(dst, src net.Conn, forward func(net.Conn, []byte) error) {
	defer func() { _, _ = dst.Close(), src.Close() }()
	b := make([]byte, 1<<16)
	for {
		n, err := src.Read(b)
		if n > 0 {
			if forward(dst, b[:n]) != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		_ = c.Close()
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}
