package ostler

import (
	"sync"
	"sync/atomic"
)

// registry keeps Go objects for C, which gets their ids and never a Go pointer. An id is never used again, so that a
// late callback meets nothing instead of a stranger.
type registry[V any] struct {
	shards [registryShards]struct {
		sync.RWMutex
		objects map[uintptr]V
	}
}

const registryShards = 16

var lastID atomic.Uintptr

func (r *registry[V]) add(object V) uintptr {
	id := lastID.Add(1)
	shard := &r.shards[id%registryShards]
	shard.Lock()
	defer shard.Unlock()
	if shard.objects == nil {
		shard.objects = make(map[uintptr]V)
	}
	shard.objects[id] = object
	return id
}

func (r *registry[V]) get(id uintptr) (V, bool) {
	shard := &r.shards[id%registryShards]
	shard.RLock()
	defer shard.RUnlock()
	object, found := shard.objects[id]
	return object, found
}

func (r *registry[V]) take(id uintptr) (V, bool) {
	shard := &r.shards[id%registryShards]
	shard.Lock()
	defer shard.Unlock()
	object, found := shard.objects[id]
	delete(shard.objects, id)
	return object, found
}

func (r *registry[V]) len() int {
	sum := 0
	for i := range r.shards {
		shard := &r.shards[i]
		shard.RLock()
		sum += len(shard.objects)
		shard.RUnlock()
	}
	return sum
}
