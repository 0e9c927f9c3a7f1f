package history

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/anishathalye/porcupine"
)

type kind uint8

const (
	set kind = iota
	incr
	remove
	push // a ticket and its entry in one step
	get
	tail // reads a log's counter
	read // reads an entry of a log
)

var names = [...]string{"SetEX", "Incr", "Expire 0", "Append", "Get", "Get tail", "Get entry"}

func (k kind) reads() bool { return k >= get }

// input is what an operation was asked to do.
type input struct {
	kind   kind
	object string
	value  string // of set and push
	n      int64  // of read
}

// output is what it said.
type output struct {
	unknown bool // it may have happened, or happen at any later time, or never
	missing bool // the key was not there
	refused bool // the value was no integer
	value   string
	n       int64
}

// model is one object at a time: a key, whose state is "" where it is missing and "=" and its value where it is there, or
// a log, whose state is a comma and the entry for each ticket so far, so that the ticket and the entry are one step.
var model = porcupine.Model{
	Partition: byObject,
	Init:      func() any { return "" },
	Step: func(state, in, out any) (bool, any) {
		i, o := in.(input), out.(output)
		said, next := step(state.(string), i)
		return o.unknown || o == said, next
	},
	DescribeOperation: func(in, out any) string { return describe(in.(input), out.(output)) },
	DescribeState:     func(state any) string { return fmt.Sprintf("%q", state) },
}

func byObject(ops []porcupine.Operation) (parts [][]porcupine.Operation) {
	at := map[string]int{}
	for _, op := range ops {
		object := op.Input.(input).object
		i, ok := at[object]
		if !ok {
			i = len(parts)
			at[object], parts = i, append(parts, nil)
		}
		parts[i] = append(parts[i], op)
	}
	return parts
}

// step is what an operation must say in that state, and the state after it.
func step(state string, i input) (output, string) {
	switch i.kind {
	case set:
		return output{}, "=" + i.value
	case get:
		return reading(state != "", state), state
	case incr:
		return increment(state, i.object)
	case remove:
		return output{missing: state == ""}, ""
	case push:
		next := state + "," + i.value
		return output{n: tickets(next)}, next
	case tail:
		return reading(state != "", "="+strconv.FormatInt(tickets(state), 10)), state
	}
	entries := strings.Split(state, ",")
	found := i.n < int64(len(entries)) && entries[i.n] != ""
	if !found {
		return reading(false, ""), state
	}
	return reading(true, "="+entries[i.n]), state
}

func reading(found bool, state string) output {
	if !found {
		return output{missing: true}
	}
	return output{value: state[1:]}
}

func tickets(log string) int64 { return int64(strings.Count(log, ",")) }

func increment(state, object string) (output, string) {
	if isLog(object) {
		return output{n: tickets(state) + 1}, state + ","
	}
	if state == "" {
		state = "=0"
	}
	n, err := strconv.ParseInt(state[1:], 10, 64)
	if err != nil {
		return output{refused: true}, state
	}
	return output{n: n + 1}, "=" + strconv.FormatInt(n+1, 10)
}

func describe(i input, o output) string {
	what := names[i.kind]
	switch i.kind {
	case set, push:
		what += " " + i.value
	case read:
		what += " " + strconv.FormatInt(i.n, 10)
	}
	switch {
	case o.unknown:
		return what + ": unknown"
	case o.missing:
		return what + ": missing"
	case o.refused:
		return what + ": refused"
	case i.kind == incr || i.kind == push:
		return fmt.Sprintf("%s: %d", what, o.n)
	}
	return what + ": " + o.value
}
