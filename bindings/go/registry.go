package ostler

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// registry keeps Go objects for C, which gets their ids and never a Go pointer. An id is never used again, so that a
// late callback meets nothing instead of a stranger. To look one up takes no lock.
type registry[V any] struct {
	shards [1 << registryShardBits]registryShard[V]
}

// An id: how often its place was used, the place, and the shard that it is in.
const (
	registryShardBits = 4
	registryChunkBits = 5
	registryPlaceBits = 24
	registryNextUse   = 1 << (registryPlaceBits + registryShardBits)
)

type registryShard[V any] struct {
	chunks atomic.Pointer[[]*registryChunk[V]]
	mu     sync.Mutex
	free   []uintptr // ids for the next objects, each of a place that is free
	count  int
}

type registryChunk[V any] [1 << registryChunkBits]atomic.Pointer[registryEntry[V]]

type registryEntry[V any] struct {
	id     uintptr
	object V
}

func (r *registry[V]) add(object V) uintptr {
	number := uintptr(rand.Uint32() % uint32(len(r.shards)))
	shard := &r.shards[number]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if len(shard.free) == 0 {
		shard.grow(number)
	}
	id := shard.free[len(shard.free)-1]
	shard.free = shard.free[:len(shard.free)-1]
	shard.count++
	shard.cell(id).Store(&registryEntry[V]{id, object})
	return id
}

// grow adds places. Who looks something up meanwhile goes on with those that there were.
func (s *registryShard[V]) grow(number uintptr) {
	var chunks []*registryChunk[V]
	if before := s.chunks.Load(); before != nil {
		chunks = *before
	}
	first := uintptr(len(chunks)) << registryChunkBits
	chunks = append(chunks, new(registryChunk[V]))
	s.chunks.Store(&chunks)
	for place := range uintptr(1 << registryChunkBits) {
		s.free = append(s.free, registryNextUse|(first+place)<<registryShardBits|number)
	}
}

// cell is where the object of an id is, or another of the same place; nil for what is no id.
func (s *registryShard[V]) cell(id uintptr) *atomic.Pointer[registryEntry[V]] {
	chunks, place := s.chunks.Load(), id%registryNextUse>>registryShardBits
	if chunks == nil || place>>registryChunkBits >= uintptr(len(*chunks)) {
		return nil
	}
	return &(*chunks)[place>>registryChunkBits][place%(1<<registryChunkBits)]
}

func (r *registry[V]) get(id uintptr) (object V, found bool) {
	if cell := r.shards[id%uintptr(len(r.shards))].cell(id); cell != nil {
		if entry := cell.Load(); entry != nil && entry.id == id {
			return entry.object, true
		}
	}
	return object, false
}

func (r *registry[V]) take(id uintptr) (object V, found bool) {
	shard := &r.shards[id%uintptr(len(r.shards))]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	object, found = r.get(id)
	if found {
		shard.cell(id).Store(nil)
		shard.free = append(shard.free, id+registryNextUse)
		shard.count--
	}
	return object, found
}

func (r *registry[V]) len() int {
	sum := 0
	for i := range r.shards {
		shard := &r.shards[i]
		shard.mu.Lock()
		sum += shard.count
		shard.mu.Unlock()
	}
	return sum
}
