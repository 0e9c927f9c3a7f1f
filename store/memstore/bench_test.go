package memstore_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/blocking-coordination/coord/store"
	"github.com/blocking-coordination/coord/store/memstore"
)

// BenchmarkSignal is what a signal and its acknowledgement ask of a store: an append that wakes the receiver, and an
// acknowledgement that wakes the sender and clears the entry away.
func BenchmarkSignal(b *testing.B) {
	s := memstore.New()
	ctx := b.Context()
	message := make([]byte, 400)
	ack := []store.Op{
		store.SetEXOp("ack:{a}:id", message, time.Hour), store.PublishOp("ack:{a}", message), store.ExpireOp("entry:{b}:", 0),
	}
	defer s.Subscribe("mailbox:{b}", func([]byte) {})()
	defer s.Subscribe("ack:{a}", func([]byte) {})()
	b.ReportAllocs()
	for b.Loop() {
		n, _ := s.Append(ctx, store.Append{
			Tail: "tail:{b}", TailTTL: time.Hour, Entry: "entry:{b}:", Value: message, TTL: time.Hour, Channel: "mailbox:{b}",
		})
		ack[2].Key = "entry:{b}:" + strconv.FormatInt(n, 10)
		s.Batch(ctx, ack)
	}
}

func BenchmarkSubscribe10000(b *testing.B) {
	for b.Loop() {
		s := memstore.New()
		for i := range 10_000 {
			s.Subscribe(fmt.Sprint("c", i), func([]byte) {})
		}
	}
}
