package round

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/internal/envelope"
	"github.com/blocking-coordination/coord/internal/keys"
	"github.com/blocking-coordination/coord/internal/work"
	"github.com/blocking-coordination/coord/store"
)

// Look finds out who of the open has replied, and then which of the others are dead. With every hint lost, it finds what
// there is. Its error joins what it could not find out; each of these is the Trouble of one member, and the others are
// settled all the same (S7). The next Look does the rest.
func (r *Round) Look(ctx context.Context) (err error) {
	for n := -1; n != len(r.members); { // substitutes may have replied before
		n = len(r.members)
		err = r.look(ctx)
	}
	return err
}

func (r *Round) look(ctx context.Context) error {
	open := r.open()
	ops := make([]store.Op, 0, 3*len(open))
	for _, m := range open {
		ops = append(ops, store.GetOp(r.agreement(m).Decision()), r.ackOp(m), store.GetOp(r.Desk.Space.Incarnation(m.ID)))
	}
	results := store.Batch(ctx, r.Desk.Store, ops)
	for i, m := range open {
		m.Trouble = r.read(ctx, m, results[3*i], results[3*i+1])
		m.unread = m.Trouble != nil
	}
	r.bury(ctx, open, func(i int) store.Result { return results[3*i+2] })
	var troubles []error
	for _, m := range open {
		r.looked(ctx, m)
		troubles = append(troubles, m.Trouble)
	}
	return errors.Join(troubles...)
}

// looked: whether m has replied was looked up, and, the first time, whether somebody has in its place. Those who are dead
// now are replaced before.
func (r *Round) looked(ctx context.Context, m *member) {
	if m.looked || m.unread || m.State != Open {
		return
	}
	err := r.recall(ctx, m)
	m.looked, m.Trouble = err == nil, errors.Join(m.Trouble, m.unsure(err))
}

func (r *Round) agreement(m *member) keys.Decide { return r.agreed(m.ID) }

func (r *Round) agreed(id string) keys.Decide {
	return r.Desk.Space.RoundReply(r.Question.Sender, r.Question.Round, id)
}

func (r *Round) ackOp(m *member) store.Op {
	return store.GetOp(r.Desk.Space.Ack(m.question.Sender, m.question.ID))
}

// stands reports whether a record is there. Its error says that this is not known.
func stands(got store.Result) (bool, error) {
	if errors.Is(got.Err, store.ErrNotFound) {
		return false, nil
	}
	return got.Err == nil, got.Err
}

// number is the value of a counter; 0 where it is absent.
func number(got store.Result) (n int64, err error) {
	found, err := stands(got)
	if !found {
		return 0, err
	}
	if n, err = strconv.ParseInt(string(got.Value), 10, 64); err != nil {
		return 0, store.ErrNotInteger
	}
	return n, nil
}

// read takes in what stands where m's reply is to stand: what was agreed upon, or else the ACK.
func (r *Round) read(ctx context.Context, m *member, agreed, ack store.Result) error {
	found, err := stands(agreed)
	if found {
		var sealed []byte
		if sealed, found, err = r.Desk.Decided(ctx, r.agreement(m)); found {
			return r.count(m, sealed, err)
		}
	}
	if err == nil {
		found, err = stands(ack)
	}
	switch {
	case err != nil:
		return fmt.Errorf("the reply of %s: %w", m.ID, err)
	case found:
		return r.acknowledged(ctx, m, ack.Value)
	}
	return nil
}

// acknowledged takes in what stands where m's ACK is to stand. What is none is told of once.
func (r *Round) acknowledged(ctx context.Context, m *member, value []byte) error {
	ack, err := envelope.OpenAck(r.Desk.Ring, m.question.Sender, m.question.ID, value)
	switch {
	case err == nil:
		return r.settle(ctx, m, ack)
	case !bytes.Equal(m.refused, value):
		m.refused = value
		r.refuse(err)
	}
	return nil
}

func (r *Round) refuse(err error) {
	if r.Refused != nil {
		r.Refused(err)
	}
}

// settle: m has replied. G2: that is agreed upon before it counts, for another life of m may have replied too, and
// another one of the asker have seen that.
func (r *Round) settle(ctx context.Context, m *member, ack *envelope.Ack) error {
	if !ack.Answers(&m.question) {
		return fmt.Errorf("%w: %s has replied to it", ErrOtherQuestion, m.ID)
	}
	sealed, err := envelope.AppendAck(nil, r.Desk.Ring, ack)
	if err == nil {
		sealed, _, err = r.Desk.Decide(ctx, r.agreement(m), r.Desk.Times.Epoch, sealed)
	}
	return r.count(m, sealed, err)
}

// count takes in the reply that was agreed upon, unless err.
func (r *Round) count(m *member, sealed []byte, err error) error {
	if err != nil {
		return fmt.Errorf("the reply of %s: %w", m.ID, err)
	}
	ack, err := envelope.OpenAck(r.Desk.Ring, m.question.Sender, m.question.ID, sealed)
	if err != nil {
		return fmt.Errorf("the reply of %s: %w: %w", m.ID, agree.ErrForged, err)
	}
	if !ack.Answers(&m.question) {
		return fmt.Errorf("%w: %s has replied to it", ErrOtherQuestion, m.ID)
	}
	m.reply, m.Incarnation, m.State = ack, ack.Incarnation, Answered
	if ack.Rejected {
		m.State, m.Reason = Rejected, ack.Reason
	} else if err := r.Accept(m.ID, ack.Result); err != nil {
		m.State, m.Reason = Rejected, "the answer cannot be read: "+err.Error()
	}
	return nil
}

// bury settles those of open who are dead. numbers are the last incarnation numbers that were taken. Of whom it is not
// known whether he has replied, nothing is settled (G3).
func (r *Round) bury(ctx context.Context, open []*member, numbers func(i int) store.Result) {
	var doubtful []*member
	var last []work.Owner
	var ops []store.Op
	for i, m := range open {
		if m.State != Open || m.Trouble != nil {
			continue
		}
		n, err := number(numbers(i))
		if m.Trouble = m.unsure(err); n > 0 {
			doubtful, last = append(doubtful, m), append(last, work.Owner{ID: m.ID, Incarnation: n})
			ops = append(ops, store.GetOp(r.Desk.Space.Dead(m.ID, n).Decision()), store.GetOp(r.Desk.Space.Heartbeat(m.ID)))
		}
	}
	results := store.Batch(ctx, r.Desk.Store, ops)
	for i, m := range doubtful {
		m.Trouble = m.unsure(r.doubt(ctx, m, last[i], results[2*i], results[2*i+1]))
	}
}

// unsure says of err, if any, what is not known.
func (m *member) unsure(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("whether %s is dead: %w", m.ID, err)
}

// doubt: is m dead? A number may be taken by one that crashed before it registered: nobody will ever decide about that
// one, so its word is that of the last that did (G3). Whose heart beats has registered.
func (r *Round) doubt(ctx context.Context, m *member, last work.Owner, decision, heartbeat store.Result) error {
	decided, err := stands(decision)
	if _, unheard := stands(heartbeat); err != nil || unheard != nil {
		return errors.Join(err, unheard)
	}
	if !decided {
		beat, err := envelope.OpenHeartbeat(r.Desk.Ring, m.ID, heartbeat.Value)
		if err == nil && beat.Incarnation >= last.Incarnation {
			return nil
		}
		registered, err := r.registry.last(ctx, r.Desk, m.ID)
		if err != nil || registered < 1 || registered >= last.Incarnation {
			return err
		}
		last.Incarnation = registered
	}
	return r.mourn(ctx, m, last)
}

// mourn settles m if o, its last incarnation, is decided dead by silence. What it replied before it died counts. Leaving
// on purpose is no death: it may come back, and its question waits for it.
func (r *Round) mourn(ctx context.Context, m *member, o work.Owner) error {
	death, dead, err := r.Desk.Dead(ctx, o)
	if err != nil || !dead || death.Reason != work.Silent {
		return err
	}
	results := store.Batch(ctx, r.Desk.Store, []store.Op{store.GetOp(r.agreement(m).Decision()), r.ackOp(m)})
	if err := r.read(ctx, m, results[0], results[1]); err != nil || m.State != Open {
		return err
	}
	m.State, m.Reason, m.Incarnation = Dead, "declared dead", o.Incarnation
	r.replace(m)
	return nil
}
