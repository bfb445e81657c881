package ostler

import (
	"sync"
	"testing"
)

func TestRegistryKeepsEachUnderAnIdOfItsOwn(t *testing.T) {
	var kept registry[int]
	if _, found := kept.get(0); found {
		t.Error("an empty registry has something")
	}
	ids := map[uintptr]int{}
	for round := range 3 {
		for i := range 200 {
			id := kept.add(round*1000 + i)
			if _, used := ids[id]; used || id == 0 {
				t.Fatal("an id is used twice: ", id)
			}
			ids[id] = round*1000 + i
		}
		for id, object := range ids {
			here, found := kept.get(id)
			if found != (object/1000 == round) || found && here != object {
				t.Fatal(id, here, found)
			}
			if taken, was := kept.take(id); was != found || found && taken != object {
				t.Fatal(id, taken, was)
			}
			if _, found := kept.take(id); found {
				t.Fatal("taken twice")
			}
		}
		if kept.len() != 0 {
			t.Fatal(kept.len(), "are left")
		}
	}
	if _, found := kept.get(^uintptr(0)); found {
		t.Error("what is no id has something")
	}
}

func TestRegistryIsReadWhileItGrows(t *testing.T) {
	var kept registry[[2]uintptr]
	var all sync.WaitGroup
	for worker := range uintptr(4) {
		all.Add(1)
		go func() {
			defer all.Done()
			var mine []uintptr
			for i := range uintptr(500) {
				id := kept.add([2]uintptr{worker, i})
				mine = append(mine, id)
				for place, id := range mine {
					if object, found := kept.get(id); !found || object != [2]uintptr{worker, uintptr(place)} {
						t.Error(object, found)
						return
					}
				}
			}
			for _, id := range mine {
				kept.take(id)
			}
		}()
	}
	all.Wait()
	if kept.len() != 0 {
		t.Error(kept.len(), "are left")
	}
}
