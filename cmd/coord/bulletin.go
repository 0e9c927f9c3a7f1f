package main

import (
	"sync"

	"github.com/blocking-coordination/coord"
)

// bulletin prints on stdout what a monitor finds out and decides.
type bulletin struct {
	app *app
	mu  sync.Mutex // events come from several goroutines
}

// Observe implements coord.Observer.
func (b *bulletin) Observe(e coord.Event) {
	text, v := describe(e)
	if v == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = b.app.say(text, v) // there is nobody else to tell
}
