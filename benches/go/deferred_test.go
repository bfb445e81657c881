package benches

import (
	"testing"

	"ostler"
)

// A result is made and taken: a cell is got, completed and polled at a desk.
func BenchmarkDeferredDesk(b *testing.B) {
	set, err := ostler.NewDeferred[int](0)
	if err != nil {
		b.Fatal(err)
	}
	defer set.Close()
	desk, err := set.OpenDesk()
	if err != nil {
		b.Fatal(err)
	}
	defer desk.Close()
	for b.Loop() {
		cell, err := desk.Acquire()
		if err != nil {
			b.Fatal(err)
		}
		if err := desk.Complete(cell, b.N); err != nil {
			b.Fatal(err)
		}
		if _, err := desk.Poll(cell); err != nil {
			b.Fatal(err)
		}
	}
}

// The same with a channel for each result.
func BenchmarkDeferredChannel(b *testing.B) {
	for b.Loop() {
		results := make(chan int, 1)
		results <- b.N
		<-results
	}
}

// The same with one channel for all.
func BenchmarkDeferredOneChannel(b *testing.B) {
	results := make(chan int, 1)
	for b.Loop() {
		results <- b.N
		<-results
	}
}
