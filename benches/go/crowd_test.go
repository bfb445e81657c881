package benches

import (
	"context"
	"runtime"
	"testing"

	"github.com/jackc/puddle/v2"

	"ostler"
)

// crowd is how many goroutines for each CPU want one of the resources at once.
const crowd = 64

// inCrowd runs turn, which leases a resource, lets others run and releases it, on many more goroutines than there are
// resources.
func inCrowd(b *testing.B, turn func() error) {
	b.SetParallelism(crowd)
	b.RunParallel(func(turns *testing.PB) {
		for turns.Next() {
			if err := turn(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkPoolCrowdOstler(b *testing.B) {
	pool, err := ostler.NewPool(ostler.PoolConfig[*resource]{
		MaxSize: resources,
		Create:  func() (*resource, error) { return new(resource), nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	ctx := context.Background()
	inCrowd(b, func() error {
		lease, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		runtime.Gosched()
		return lease.Release()
	})
}

func BenchmarkPoolCrowdPuddle(b *testing.B) {
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
	inCrowd(b, func() error {
		lease, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		runtime.Gosched()
		lease.Release()
		return nil
	})
}

func BenchmarkPoolCrowdChannel(b *testing.B) {
	idle := make(chan *resource, resources)
	for range resources {
		idle <- new(resource)
	}
	ctx := context.Background()
	inCrowd(b, func() error {
		select {
		case leased := <-idle:
			runtime.Gosched()
			idle <- leased
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}
