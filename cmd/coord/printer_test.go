package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/blocking-coordination/coord"
)

// held is a writer that says when it was first asked, and then waits.
type held struct {
	lines
	asked, free chan struct{}
}

func newHeld() *held { return &held{asked: make(chan struct{}, 10_000), free: make(chan struct{})} }

func (h *held) Write(b []byte) (int, error) {
	h.asked <- struct{}{}
	<-h.free
	return h.lines.Write(b)
}

// While nobody reads, observers return; later all is there in order, and how much is not.
func TestObserversWaitForNoReader(t *testing.T) {
	out, errs := newHeld(), newHeld()
	a := &app{ctx: t.Context()}
	a.Output = "json"
	finish := a.print(streams{out: out, err: errs})
	n, b := newNarrator(a.err), &bulletin{app: a}
	tell := func(id string) {
		n.Observe(coord.Resumed{ID: id})
		b.Observe(coord.Recovered{ID: id})
	}
	tell("first")
	<-out.asked
	<-errs.asked
	for i := range mostLines + 7 {
		tell(fmt.Sprintf("c%d", i))
	}
	close(out.free)
	close(errs.free)
	finish()
	for name, l := range map[string]*lines{`{"event":"dropped","lines":7}`: &out.lines, "7 lines dropped": &errs.lines} {
		all := strings.Split(strings.TrimSpace(l.String()), "\n")
		if len(all) != mostLines+2 || !strings.Contains(all[mostLines+1], name) {
			t.Fatalf("%d lines, and %q is not the last of them: %q", len(all), name, all[len(all)-1])
		}
		for i, line := range all[1 : mostLines+1] {
			if !strings.Contains(line, fmt.Sprintf("c%d", i)) {
				t.Fatalf("line %d is %q", i, line)
			}
		}
	}
}
