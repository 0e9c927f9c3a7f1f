package main

import "github.com/blocking-coordination/coord"

// bulletin prints on stdout what a monitor finds out and decides. Who does not read it holds up nobody.
type bulletin struct{ app *app }

// Observe implements coord.Observer.
func (b *bulletin) Observe(e coord.Event) {
	if text, v := describe(e); v != nil {
		_ = b.app.impatient().say(text, v) // there is nobody else to tell
	}
}
