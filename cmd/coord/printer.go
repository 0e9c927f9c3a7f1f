package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	mostLines = 1024        // that wait to be written
	lastWords = time.Second // for what is still to be written when all else is over
)

// printer writes to out in order, from a goroutine of its own: where nobody reads, that one is held up and no other.
type printer struct {
	out   io.Writer
	lost  func(lines int) string // says that so many were dropped
	queue chan line
	end   chan struct{}

	mu      sync.Mutex // not held while anything is written
	dropped int        // lines, since the last one that found room
}

// line is what one Write is to write.
type line struct {
	text    []byte
	written chan error // nil where nobody wants to know
}

func newPrinter(out io.Writer, lost func(lines int) string) *printer {
	p := &printer{out: out, lost: lost, queue: make(chan line, mostLines), end: make(chan struct{})}
	go p.run()
	return p
}

func (p *printer) run() {
	for {
		select {
		case l := <-p.queue:
			_, err := p.out.Write(l.text)
			if l.written != nil {
				l.written <- err
			}
		case <-p.end:
			return
		}
	}
}

// put has text written and returns when it is; ctx bounds that.
func (p *printer) put(ctx context.Context, text []byte) error {
	l := line{bytes.Clone(text), make(chan error, 1)}
	select {
	case p.queue <- l:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-l.written:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// post has text written at some time, or drops it where too much waits already. It does not block.
func (p *printer) post(text []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.queue <- line{text: append(p.note(), text...)}:
		p.dropped = 0
	default:
		p.dropped++
	}
}

// note tells of what was dropped. p.mu is held.
func (p *printer) note() []byte {
	if p.dropped == 0 {
		return nil
	}
	return []byte(p.lost(p.dropped))
}

// close waits, if only briefly, until everything is written.
func (p *printer) close() {
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	p.mu.Lock()
	last := p.note()
	p.mu.Unlock()
	_ = p.put(ctx, last) // nobody reads
	close(p.end)
}

// impatient never waits for whoever reads: for observers.
type impatient struct{ *printer }

func (i impatient) Write(b []byte) (int, error) {
	i.post(b)
	return len(b), nil
}

// patient waits until it is written, but hardly longer than ctx: for results.
type patient struct {
	*printer
	ctx context.Context
}

func (p patient) Write(b []byte) (int, error) {
	ctx, stop := outlasting(p.ctx)
	defer stop()
	if err := p.put(ctx, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// outlasting is a context that ends a moment after ctx: what can be written by then, should be.
func outlasting(ctx context.Context) (later context.Context, stop func()) {
	later, end := context.WithCancelCause(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, func() {
		time.AfterFunc(lastWords, func() { end(context.Cause(ctx)) })
	})
	return later, func() { forget(); end(nil) }
}

// print has what a prints written by printers, until finish is called.
func (a *app) print(std streams) (finish func()) {
	a.streams, a.raw = std, std
	out, errs := newPrinter(std.out, a.lostResults), newPrinter(std.err, lostLines)
	a.out, a.err = patient{out, a.ctx}, impatient{errs}
	return func() { out.close(); errs.close() }
}

// until is a, whose results wait for whoever reads them until ctx ends.
func (a *app) until(ctx context.Context) *app {
	b := *a
	if p, ok := a.out.(patient); ok {
		b.out = patient{p.printer, ctx}
	}
	return &b
}

// impatient is a, whose results wait for nobody.
func (a *app) impatient() *app {
	b := *a
	if p, ok := a.out.(patient); ok {
		b.out = impatient{p.printer}
	}
	return &b
}

// lastLine is where to say why a ends: it waits for room, but not for ever.
func (a *app) lastLine() io.Writer {
	i, ok := a.err.(impatient)
	if !ok {
		return a.err
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	return patient{i.printer, over}
}

func lostLines(n int) string {
	return fmt.Sprintf("[%s] %d lines dropped: they were not read in time\n", time.Now().Format(time.TimeOnly), n)
}

func (a *app) lostResults(n int) string {
	if a.Output == "json" {
		return fmt.Sprintf(`{"event":"dropped","lines":%d}`+"\n", n)
	}
	return lostLines(n)
}
