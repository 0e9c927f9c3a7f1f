package keys

import "strconv"

// Warning is the fact that incarnation of id earned its k-th warning since its beat seq.
func (s Space) Warning(id string, incarnation int64, seq uint64, k int) string {
	return s.prefix + "warning:" + id + ":" + dec(incarnation) + ":" + strconv.FormatUint(seq, 10) + ":" + strconv.Itoa(k)
}

// Dead names the agreement on the end of one incarnation.
func (s Space) Dead(id string, incarnation int64) Decide {
	return s.Decide("dead/" + id + "/" + dec(incarnation))
}

// Handled says that everything of a dead incarnation was handed over.
func (s Space) Handled(id string, incarnation int64) string {
	return s.prefix + "handled:" + id + ":" + dec(incarnation)
}

// Epoch names the agreement that ends epoch e of a unit: e = 0 gives it its first owner.
func (s Space) Epoch(unit string, e int64) Decide {
	return s.Decide("work/" + unit + "/" + dec(e))
}

// Intents is the log of what one incarnation of id means to own.
func (s Space) Intents(id string, incarnation int64) Log {
	return newLog(s.prefix + "work:intents:{" + id + "/" + dec(incarnation) + "}")
}

// Unit holds the payload of a unit, under the digest of its content.
func (s Space) Unit(unit, digest string) string {
	return s.prefix + "work:{" + unit + "}:unit:" + digest
}

// Progress counts the checkpoints and touches of an epoch.
func (s Space) Progress(unit string, e int64) string {
	return s.prefix + "work:{" + unit + "}:progress:" + dec(e)
}

// Checkpoint holds version n of the state that epoch e of a unit has reached.
func (s Space) Checkpoint(unit string, e, n int64) string {
	return s.prefix + "work:{" + unit + "}:checkpoint:" + dec(e) + ":" + dec(n)
}

// Open is the log of units that were added and have no owner yet.
func (s Space) Open() Log { return newLog(s.prefix + "{work-open}") }

// Deadlines is the log of owned units that must make progress.
func (s Space) Deadlines() Log { return newLog(s.prefix + "{work-deadlines}") }

func dec(n int64) string { return strconv.FormatInt(n, 10) }
