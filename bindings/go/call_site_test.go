package ostler

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func acquireInTheBarn(t *testing.T, pool *Pool[int]) Lease[int] {
	t.Helper()
	lease, err := pool.Acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func siteOf(t *testing.T, pool *Pool[int], lease Lease[int]) CallSite {
	t.Helper()
	infos, err := pool.Leases()
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		if info.Lease.id == lease.id {
			return info.CallSite
		}
	}
	t.Fatal("the lease is not listed")
	return CallSite{}
}

func TestLeaseTellsFromWhereItWasTaken(t *testing.T) {
	pool, err := NewPool(PoolConfig[int]{MaxSize: 2, Create: func() (int, error) { return 1, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	before := acquireInTheBarn(t, pool)
	traced(t, TracingConfig{SampleBytes: 1})
	if site := siteOf(t, pool, before); len(site.Frames()) != 0 || site.String() != "" {
		t.Error("a lease from before tracing was on has a call site: ", site)
	}
	lease := acquireInTheBarn(t, pool)
	frames := siteOf(t, pool, lease).Frames()
	if len(frames) < 2 || !strings.HasSuffix(frames[0].Function, ".acquireInTheBarn") ||
		!strings.HasSuffix(frames[1].Function, ".TestLeaseTellsFromWhereItWasTaken") || frames[0].Line == 0 {
		t.Errorf("the call site is %+v", frames)
	}
	// Who waits in vain hears of it.
	err = waitsInVain(t, pool, func(ctx context.Context) error {
		_, err := pool.Acquire(ctx)
		return err
	})
	if !errors.Is(err, ErrTimeout) || !strings.Contains(err.Error(), ".acquireInTheBarn (call_site_test.go:") {
		t.Error(err)
	}
	err = waitsInVain(t, pool, func(ctx context.Context) error {
		_, err := pool.AcquireN(ctx, 2)
		return err
	})
	if err == nil {
		t.Error("two were leased twice")
	}
	// A lease that has ended is forgotten, whatever way it ended.
	ends := []func(Lease[int]) error{Lease[int].Release, Lease[int].Discard,
		func(lease Lease[int]) error { return pool.ReleaseN([]Lease[int]{lease}) },
		func(lease Lease[int]) error { return errors.Join(lease.Revoke(), gone(lease.Discard())) }}
	for i, end := range ends {
		err := end(lease)
		if err != nil && !errors.Is(err, ErrStaleLease) {
			t.Error(i, err)
		}
		if count := pool.keeper.sites.count.Load(); count != 0 {
			t.Error(i, count, "call sites are left")
		}
		lease = acquireInTheBarn(t, pool)
	}
	if err := errors.Join(lease.Release(), before.Release()); err != nil {
		t.Error(err)
	}
}

func TestTapTellsFromWhereALeaseWasTaken(t *testing.T) {
	pool, err := NewPool(PoolConfig[int]{MaxSize: 2, Create: func() (int, error) { return 1, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	traced(t, TracingConfig{SampleBytes: 1})
	tap, err := pool.OpenTap()
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	for range 3 {
		lease, err := tap.Acquire(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		site := siteOf(t, pool, lease).String()
		if !strings.Contains(site, ".TestTapTellsFromWhereALeaseWasTaken (call_site_test.go:") {
			t.Error(site)
		}
		if err := tap.Release(lease); err != nil {
			t.Error(err)
		}
	}
	if count := pool.keeper.sites.count.Load(); count != 0 {
		t.Error(count, "call sites are left")
	}
}
