// Package benches measures the Go package beside its peers.
package benches

import (
	"context"
	"testing"

	"github.com/jackc/puddle/v2"

	"benches/empty"
	"ostler"
)

const resources = 8

type resource [64]byte

// measure runs pair on one goroutine, and on as many as there are CPUs.
func measure(b *testing.B, pair func() error) {
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			if err := pair(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(turns *testing.PB) {
			for turns.Next() {
				if err := pair(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

// An idle resource is acquired and released.
func BenchmarkPoolOstler(b *testing.B) {
	pool, err := ostler.NewPool(ostler.PoolConfig[*resource]{
		MaxSize: resources,
		Create:  func() (*resource, error) { return new(resource), nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	ctx := context.Background()
	measure(b, func() error {
		lease, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		return lease.Release()
	})
}

func BenchmarkPoolPuddle(b *testing.B) {
	pool, err := puddle.NewPool(&puddle.Config[*resource]{
		MaxSize:     resources,
		Constructor: func(context.Context) (*resource, error) { return new(resource), nil },
		Destructor:  func(*resource) {},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	ctx := context.Background()
	measure(b, func() error {
		lease, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		lease.Release()
		return nil
	})
}

// What people write by hand.
func BenchmarkPoolChannel(b *testing.B) {
	idle := make(chan *resource, resources)
	for range resources {
		idle <- new(resource)
	}
	ctx := context.Background()
	measure(b, func() error {
		select {
		case leased := <-idle:
			idle <- leased
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// What two calls of C cost that do nothing: a pool that calls C for each acquire and release costs more.
func BenchmarkTwoEmptyCalls(b *testing.B) {
	measure(b, func() error {
		empty.Call()
		empty.Call()
		return nil
	})
}

// Each goroutine has a tap of its own.
func BenchmarkPoolOstlerTap(b *testing.B) {
	pool, err := ostler.NewPool(ostler.PoolConfig[*resource]{
		MaxSize: resources,
		Create:  func() (*resource, error) { return new(resource), nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	ctx := context.Background()
	pair := func(tap *ostler.Tap[*resource]) error {
		lease, err := tap.Acquire(ctx)
		if err != nil {
			return err
		}
		return tap.Release(lease)
	}
	b.Run("one", func(b *testing.B) {
		tap, err := pool.OpenTap()
		if err != nil {
			b.Fatal(err)
		}
		defer tap.Close()
		for b.Loop() {
			if err := pair(tap); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(turns *testing.PB) {
			tap, err := pool.OpenTap()
			if err != nil {
				b.Error(err)
				return
			}
			defer tap.Close()
			for turns.Next() {
				if err := pair(tap); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
