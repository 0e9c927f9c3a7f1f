package main

// persistence compares one pair on servers that write to disk with one on the server that does not. The disk is this
// machine's, so the figures are for information.
func (r *run) persistence() error {
	var o opened
	defer o.close()
	none := o.add(r.ours(job{name: "coord, Send to Wait, nothing on disk", pairs: 1}))
	when := []string{"everysec", "always"}
	for _, w := range when {
		o.add(r.onDisk(w))
	}
	if o.err != nil {
		return o.err
	}
	if err := r.compare(o.all...); err != nil {
		return err
	}
	for i, w := range when {
		r.report.tell("signal to ACK with appendfsync "+w+", p50 against nothing on disk", o.all[1+i].ratio(none, p50), "×")
	}
	return nil
}

// onDisk is a pair on a server of its own, which ends with it.
func (r *run) onDisk(when string) (*contender, error) {
	s, err := startServer("--appendonly", "yes", "--appendfsync", when)
	if err != nil {
		return nil, err
	}
	there := *r
	there.server = s
	c, err := there.ours(job{name: "coord, Send to Wait, appendfsync " + when, pairs: 1})
	if err != nil {
		s.stop()
		return nil, err
	}
	inner := c.close
	c.close = func() { inner(); s.stop() }
	return c, nil
}
