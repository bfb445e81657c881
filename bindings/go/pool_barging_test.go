package ostler

import (
	"sync"
	"testing"
	"time"
)

func TestPoolThatAllowsBargingServesEverybody(t *testing.T) {
	leavesNothing(t)
	var count counted
	config := count.config()
	config.MaxSize, config.Barging = 1, 100*time.Microsecond
	pool := newPool(t, config)
	var users sync.WaitGroup
	for range 4 {
		users.Add(1)
		go func() {
			defer users.Done()
			for range 500 {
				lease, err := pool.Acquire(soon(t))
				if err == nil {
					err = lease.Release()
				}
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	users.Wait()
	if count.created.Load() != 1 {
		t.Errorf("%d resources were made of 1", count.created.Load())
	}
}

func TestPoolRefusesBargingWhereTurnsAreAlwaysKept(t *testing.T) {
	var count counted
	config := count.config()
	config.MinIdle, config.Barging = 1, time.Millisecond
	_, err := NewPool(config)
	failsWith(t, err, ErrInvalidArgument)
}
