// Ostler in one sitting: memory from an arena, a lease from a pool, an answer from a warm worker.
//
//	PKG_CONFIG_PATH=/usr/local/lib/pkgconfig go run .
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"regexp"
	"time"

	"ostler"
)

func check(err error) {
	if err != nil {
		log.Fatal("quickstart: ", err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func main() {
	// Whatever waits ends with its context.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	// An arena gives out memory on the pages that you ask for, and says which it really got.
	arena := must(ostler.NewArena(ostler.ArenaConfig{Source: ostler.PageSource{Pages: ostler.PagesBest}}))
	defer arena.Close()
	output := must(arena.Alloc(64, 0))
	receipt := must(arena.Receipt(0))
	fmt.Printf("arena: a chunk of %d KiB on pages of %d KiB\n", receipt.MappedBytes>>10, receipt.PageBytes>>10)

	// A pool makes what is dear once and leases it out: here a compiled regular expression.
	pool := must(ostler.NewPool(ostler.PoolConfig[*regexp.Regexp]{
		MaxSize: 2,
		Create:  func() (*regexp.Regexp, error) { return regexp.Compile(`^[a-z]+$`) },
	}))
	defer pool.Close()
	lease := must(pool.Acquire(ctx))
	fmt.Println("pool: hay is a word:", lease.Value().MatchString("hay"))
	check(lease.Release())

	// A model is loaded once by each of its workers; requests come in batches, by priority and deadline.
	orchestrator := must(ostler.NewOrchestrator(ostler.OrchestratorConfig{}))
	defer orchestrator.Close()
	model := must(ostler.NewModel(orchestrator, ostler.ModelConfig[[]byte]{
		MaxBatch: 8,
		Load:     func(worker int) ([]byte, error) { return []byte("fed and saddled: "), nil },
		Run: func(words []byte, items []*ostler.Item) error {
			for _, item := range items {
				item.Answer(append(bytes.Clone(words), item.Input()...))
			}
			return nil
		},
	}))
	ticket := must(model.Submit(ostler.Request{
		Priority: ostler.PriorityHigh, Deadline: time.Second, Input: []byte("the bay mare"), Output: output,
	}))
	result := must(ticket.Wait(ctx))
	fmt.Printf("model: %s, in a batch of %d\n", result.Output, result.BatchSize)
}
