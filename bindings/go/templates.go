package ostler

// #include <stdlib.h>
// #include "shim_templates.h"
import "C"

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"unsafe"
)

// Eviction is which template goes when there is no room.
type Eviction uint32

// The evictions.
const (
	LeastRecentlyUsed   Eviction = C.OSTLER_EVICT_LEAST_RECENTLY_USED
	LeastFrequentlyUsed Eviction = C.OSTLER_EVICT_LEAST_FREQUENTLY_USED
)

// TemplatesConfig says how a cache of templates builds them and how many it keeps.
type TemplatesConfig struct {
	MaxTemplates  int // 0 is 1024
	MaxBytes      int // of all templates together; one that is larger is built for each who asks; 0 is no bound
	MaxReferences int // the most that are out at once; 0 is 1024
	AlignBytes    int // of an instance in an arena; 0 is 64
	Eviction      Eviction

	// Build makes the template of a key: bytes, of which the library takes a copy. It is called by one goroutine for a
	// key, while others that ask for it wait; by several for several keys. One that asks for its own key, over others or
	// not, gets ErrWouldDeadlock, as long as it asks on the goroutine on which it was called.
	Build func(key string) ([]byte, error)
}

// TemplatesStats is what a cache of templates holds, and what it has done up to now.
type TemplatesStats struct {
	Templates, Bytes           uint64 // that are kept
	Leaving, LeavingBytes      uint64 // that are not kept, but still in use
	InUse, Waiting             uint64 // references, and callers that wait for another's build
	Hits, Misses               uint64
	Builds, BuildFailures      uint64
	EvictedCount, EvictedBytes uint64 // templates that went because of MaxTemplates, and because of MaxBytes
	Invalidated, Unkept        uint64 // while they were kept, and before

	BuildTimes Times
	Waits      Times // of those who had to wait, also in vain
}

// Templates keeps immutable initial data by key: built once, by the first who asks for it, then copied. Reading takes no
// lock. A key is a string of 1 to 255 bytes of any value.
type Templates struct {
	handle  C.uintptr_t
	tenancy *tenancy
	cleanup runtime.Cleanup
}

// NewTemplates makes a cache of templates, with nothing in it.
func NewTemplates(config TemplatesConfig) (*Templates, error) {
	var given arguments
	var c C.ostler_templates_config
	if err := failure(C.ostler_go_templates_config_init(&c)); err != nil {
		return nil, err
	}
	if config.Build == nil {
		given.refuse("Build is nil, but a cache of templates cannot do without it")
	}
	c.max_templates = given.count("MaxTemplates", config.MaxTemplates)
	c.max_references = given.count("MaxReferences", config.MaxReferences)
	c.max_bytes = given.amount("MaxBytes", config.MaxBytes)
	c.align_bytes = given.amount("AlignBytes", config.AlignBytes)
	c.eviction = C.uint32_t(config.Eviction)
	if given.err != nil {
		return nil, given.err
	}
	id := builders.add(config.Build)
	held := &tenancy{end: func() { builders.take(id) }}
	created := C.ostler_go_templates_create(&c, C.uintptr_t(id))
	if err := failure(created.failure); err != nil {
		held.close()
		return nil, err
	}
	templates := &Templates{handle: created.handle, tenancy: held}
	templates.cleanup = runtime.AddCleanup(templates, forgetTemplates, forgotten{created.handle, held})
	return templates, nil
}

func forgetTemplates(templates forgotten) {
	// On a goroutine of its own, as for a pool.
	go func() { _ = closeTemplates(templates.handle, templates.tenancy) }()
}

func closeTemplates(handle C.uintptr_t, tenancy *tenancy) error {
	err := gone(failure(C.ostler_go_templates_destroy(handle)))
	if err == nil {
		tenancy.close()
	}
	return err
}

// Close ends the waits for builds with ErrClosed and waits for those builds. References stay valid until they are
// released.
func (t *Templates) Close() error {
	err := closeTemplates(t.handle, t.tenancy)
	if err == nil {
		t.cleanup.Stop()
	}
	return err
}

// patiently makes a call that needs no cancel when nobody else builds, and waits with the context when somebody does.
func patiently(ctx context.Context, call func(timeoutNs C.uint64_t, cancel C.uintptr_t) error) error {
	if _, err := timeLeft(ctx); err != nil {
		return err
	}
	if err := call(0, 0); !errors.Is(err, ErrTimeout) {
		return err
	}
	return await(ctx, call)
}

// Instantiate copies the template of a key into memory of the caller, which must have room for it, and says how many
// bytes it has.
func (t *Templates) Instantiate(ctx context.Context, key string, into []byte) (int, error) {
	var bytes int
	err := patiently(ctx, func(timeout C.uint64_t, cancel C.uintptr_t) error {
		// Where there is no room the library shall say how much is needed, and not that there is no target.
		target := unsafe.Pointer(unsafe.SliceData(into))
		if target == nil {
			target = unsafe.Pointer(&bytes)
		}
		made := C.ostler_go_templates_instantiate(t.handle, unsafe.Pointer(unsafe.StringData(key)),
			C.uint64_t(len(key)), target, C.uint64_t(len(into)), timeout, cancel)
		bytes = int(made.bytes)
		return failure(made.failure)
	})
	runtime.KeepAlive(t)
	return bytes, err
}

// Copy gives a copy of the template of a key.
func (t *Templates) Copy(ctx context.Context, key string) ([]byte, error) {
	reference, err := t.Refer(ctx, key)
	if err != nil {
		return nil, err
	}
	bytes := slices.Clone(reference.bytes)
	return bytes, reference.Release()
}

// InstantiateIn copies the template of a key into an arena, to which the bytes belong.
func (t *Templates) InstantiateIn(ctx context.Context, key string, arena *Arena) ([]byte, error) {
	var bytes []byte
	err := patiently(ctx, func(timeout C.uint64_t, cancel C.uintptr_t) error {
		made := C.ostler_go_templates_instantiate_in(t.handle, unsafe.Pointer(unsafe.StringData(key)),
			C.uint64_t(len(key)), arena.handle, timeout, cancel)
		bytes = unsafe.Slice((*byte)(made.data), int(made.bytes))
		return failure(made.failure)
	})
	runtime.KeepAlive(t)
	runtime.KeepAlive(arena)
	return bytes, err
}

// Refer keeps the template of a key in place, to be read there, until Release.
func (t *Templates) Refer(ctx context.Context, key string) (TemplateReference, error) {
	var reference TemplateReference
	err := patiently(ctx, func(timeout C.uint64_t, cancel C.uintptr_t) error {
		got := C.ostler_go_templates_get(t.handle, unsafe.Pointer(unsafe.StringData(key)), C.uint64_t(len(key)), timeout,
			cancel)
		if err := failure(got.failure); err != nil {
			return err
		}
		reference = TemplateReference{t, got.reference, unsafe.Slice((*byte)(got.data), int(got.bytes))}
		return nil
	})
	return reference, err
}

// Version is that of the template that is kept for a key, or 0. It only grows.
func (t *Templates) Version(key string) (uint64, error) {
	var version C.uint64_t
	err := failure(C.ostler_go_templates_get_version(t.handle, unsafe.Pointer(unsafe.StringData(key)),
		C.uint64_t(len(key)), &version))
	runtime.KeepAlive(t)
	return uint64(version), err
}

// Invalidate makes the template of a key go: who asks from now on gets none that was built before, nor one whose build
// has begun.
func (t *Templates) Invalidate(key string) error {
	err := failure(C.ostler_go_templates_invalidate(t.handle, unsafe.Pointer(unsafe.StringData(key)),
		C.uint64_t(len(key))))
	runtime.KeepAlive(t)
	return err
}

// InvalidateAll does so for every key.
func (t *Templates) InvalidateAll() error {
	err := failure(C.ostler_go_templates_invalidate_all(t.handle))
	runtime.KeepAlive(t)
	return err
}

// Stats is what the cache holds, and what it has done up to now.
func (t *Templates) Stats() (TemplatesStats, error) {
	var stats C.ostler_templates_stats
	if err := failure(C.ostler_go_templates_get_stats(t.handle, &stats)); err != nil {
		return TemplatesStats{}, err
	}
	runtime.KeepAlive(t)
	return TemplatesStats{
		Templates: uint64(stats.templates), Bytes: uint64(stats.bytes), Leaving: uint64(stats.leaving),
		LeavingBytes: uint64(stats.leaving_bytes), InUse: uint64(stats.in_use), Waiting: uint64(stats.waiting),
		Hits: uint64(stats.hits), Misses: uint64(stats.misses), Builds: uint64(stats.builds),
		BuildFailures: uint64(stats.build_failures), EvictedCount: uint64(stats.evicted_for_count),
		EvictedBytes: uint64(stats.evicted_for_bytes), Invalidated: uint64(stats.invalidated),
		Unkept: uint64(stats.unkept), BuildTimes: timesOf(stats.build_times), Waits: timesOf(stats.waits),
	}, nil
}

// TemplateReference keeps a template until it is released. One that is never released keeps it for ever.
type TemplateReference struct {
	templates *Templates
	id        C.uint64_t
	bytes     []byte
}

// Bytes are the template's own: they must not be written, nor read after Release.
func (r TemplateReference) Bytes() []byte { return r.bytes }

// Version is that of the template; see Templates.Version.
func (r TemplateReference) Version() (uint64, error) {
	if r.templates == nil {
		return 0, errNoReference
	}
	var info C.ostler_template_info
	err := failure(C.ostler_go_templates_get_info(r.templates.handle, r.id, &info))
	runtime.KeepAlive(r.templates)
	return uint64(info.version), err
}

// Release gives the reference back. A second time is ErrStaleTemplate, also of a copy of the reference.
func (r TemplateReference) Release() error {
	if r.templates == nil {
		return errNoReference
	}
	err := failure(C.ostler_go_templates_release(r.templates.handle, r.id))
	runtime.KeepAlive(r.templates)
	return err
}

var errNoReference = &Error{Code: ErrStaleTemplate, Message: "the zero TemplateReference is never a reference"}

// build makes a template in memory of C, which the library frees by itself.
func build(builder func(key string) ([]byte, error), key string) (data unsafe.Pointer, bytes int, err error) {
	err = guarded(func() error {
		made, err := builder(key)
		if err != nil {
			return err
		}
		// C.malloc never fails: the program would end.
		data, bytes = C.malloc(C.size_t(max(len(made), 1))), len(made)
		copy(unsafe.Slice((*byte)(data), bytes), made)
		return nil
	})
	return data, bytes, err
}
