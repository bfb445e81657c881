package ostler_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"ostler"
)

type connection struct{ queries int }

func (c *connection) query(question string) (string, error) {
	c.queries++
	return fmt.Sprintf("answer %d to %s", c.queries, question), nil
}

func newConnections(max int) *ostler.Pool[*connection] {
	pool, err := ostler.NewPool(ostler.PoolConfig[*connection]{
		MaxSize: max,
		Create:  func() (*connection, error) { return new(connection), nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	return pool
}

func ExamplePool_Do() {
	pool := newConnections(8)
	defer pool.Close()
	for _, question := range []string{"one", "another"} {
		err := pool.Do(context.Background(), func(c *connection) error {
			answer, err := c.query(question)
			fmt.Println(answer)
			return err
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// answer 1 to one
	// answer 2 to another
}

func ExamplePool_Acquire() {
	pool := newConnections(1)
	defer pool.Close()
	lease, err := pool.Acquire(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer lease.Release()

	// The only one is leased: whoever comes now waits, as long as the context lets him.
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err = pool.Acquire(ctx)
	fmt.Println(errors.Is(err, ostler.ErrTimeout), errors.Is(err, context.DeadlineExceeded))
	// Output: true true
}

func ExampleTap() {
	pool := newConnections(8)
	defer pool.Close()
	tap, err := pool.OpenTap()
	if err != nil {
		log.Fatal(err)
	}
	defer tap.Close()
	for range 1000 {
		lease, err := tap.Acquire(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		lease.Value().queries++
		if err := tap.Release(lease); err != nil {
			log.Fatal(err)
		}
	}
	stats, err := pool.Stats()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stats.Acquires, "leases of", stats.Created, "connection")
	// Output: 1000 leases of 1 connection
}

func ExampleDesk() {
	answers, err := ostler.NewDeferred[string](64)
	if err != nil {
		log.Fatal(err)
	}
	defer answers.Close()
	desk, err := answers.OpenDesk()
	if err != nil {
		log.Fatal(err)
	}
	defer desk.Close()
	cell, err := desk.Acquire()
	if err != nil {
		log.Fatal(err)
	}
	_, err = desk.Poll(cell)
	fmt.Println(errors.Is(err, ostler.ErrNotReady))
	if err := desk.Complete(cell, "all is well"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(desk.Poll(cell))
	// Output:
	// true
	// all is well <nil>
}

func ExampleArena_Scope() {
	arena, err := ostler.NewArena(ostler.ArenaConfig{Name: "requests"})
	if err != nil {
		log.Fatal(err)
	}
	defer arena.Close()
	for request := range 3 {
		err := arena.Scope(func() error {
			scratch, err := arena.Alloc(4096, 0)
			if err != nil {
				return err
			}
			copy(scratch, fmt.Sprintf("request %d", request))
			fmt.Println(string(scratch[:9]))
			return nil // what was given out is taken back
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// request 0
	// request 1
	// request 2
}

func ExampleModel_Submit() {
	orchestrator, err := ostler.NewOrchestrator(ostler.OrchestratorConfig{})
	if err != nil {
		log.Fatal(err)
	}
	defer orchestrator.Close()
	model, err := ostler.NewModel(orchestrator, ostler.ModelConfig[string]{
		Name: "greeter",
		Load: func(worker int) (string, error) { return "hello, ", nil },
		Run: func(greeting string, items []*ostler.Item) error {
			for _, item := range items {
				item.Answer([]byte(greeting + string(item.Input())))
			}
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	ticket, err := model.Submit(ostler.Request{
		Priority: ostler.PriorityHigh,
		Input:    []byte("rider"),
		Output:   make([]byte, 64),
	})
	if err != nil {
		log.Fatal(err)
	}
	result, err := ticket.Wait(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Outcome, string(result.Output))
	// Output: completed hello, rider
}
