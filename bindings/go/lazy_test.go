package ostler

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestLazyIsLoadedPinnedAndDropped(t *testing.T) {
	ctx := context.Background()
	loads, away := 0, true
	var dropped []int
	lazy, err := NewLazy(LazyConfig[int]{
		Name: "go",
		Load: func() (int, int, error) {
			if away {
				return 0, 0, errors.New("the disk is away")
			}
			loads++
			return loads, 100, nil
		},
		Drop: func(value int) { dropped = append(dropped, value) },
	})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := lazy.OpenReader()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Pin(ctx); !errors.Is(err, ErrLoadFailed) || !strings.Contains(err.Error(), "the disk is away") {
		t.Error(err)
	}
	away = false
	if err := lazy.Invalidate(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if value, err := reader.Pin(ctx); err != nil || value != 1 {
			t.Error(value, err)
		}
	}
	if _, err := lazy.Drop(); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	if err := lazy.Invalidate(); err != nil || len(dropped) != 0 {
		t.Error(err, dropped)
	}
	for _, err := range []error{reader.Unpin(), reader.Unpin()} {
		if err != nil {
			t.Error(err)
		}
	}
	if len(dropped) != 1 || dropped[0] != 1 {
		t.Error(dropped)
	}
	if err := reader.Unpin(); !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
	if value, err := reader.Pin(ctx); err != nil || value != 2 {
		t.Error(value, err)
	}
	if err := reader.Unpin(); err != nil {
		t.Error(err)
	}
	if freed, err := lazy.Drop(); err != nil || freed != 100 {
		t.Error(freed, err)
	}
	stats, err := lazy.Stats()
	if err != nil || stats.Loaded || stats.Version != 2 || stats.LoadFailures != 1 {
		t.Error(stats, err)
	}
	for _, err := range []error{lazy.Close(), reader.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
	if _, err := reader.Pin(ctx); !errors.Is(err, ErrInvalidHandle) {
		t.Error(err)
	}
	if loaded.len() != 0 || lazies.len() != 0 {
		t.Error("something of Go is kept", loaded.len(), lazies.len())
	}
}

func TestLazyIsNeverDroppedUnderItsReader(t *testing.T) {
	type page struct{ alive atomic.Bool }
	lazy, err := NewLazy(LazyConfig[*page]{
		Load: func() (*page, int, error) {
			made := &page{}
			made.alive.Store(true)
			return made, 8, nil
		},
		Drop: func(old *page) { old.alive.Store(false) },
	})
	if err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for range 3 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			reader, err := lazy.OpenReader()
			if err != nil {
				t.Error(err)
				return
			}
			for range 3000 {
				value, err := reader.Pin(context.Background())
				if err != nil || !value.alive.Load() {
					t.Error("dropped under its reader", err)
					return
				}
				if err := reader.Unpin(); err != nil {
					t.Error(err)
				}
			}
			if err := reader.Close(); err != nil {
				t.Error(err)
			}
		}()
	}
	for round := range 500 {
		if round%2 == 0 {
			_, _ = lazy.Drop()
		} else if err := lazy.Invalidate(); err != nil {
			t.Error(err)
		}
	}
	readers.Wait()
	if err := lazy.Close(); err != nil {
		t.Error(err)
	}
}

func TestLazyFileIsReadDroppedAndReadAnew(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "words")
	succeeds(t, os.WriteFile(path, []byte("hello, world"), 0o600))
	lazy, err := NewLazyFile(path, LazyFileConfig{Name: "words", Source: PageSource{Pages: PagesBase}})
	succeeds(t, err)
	reader, err := lazy.OpenReader()
	succeeds(t, err)
	for range 2 {
		content, err := reader.Pin(ctx)
		if err != nil || string(content) != "hello, world" {
			t.Fatalf("%q, %v", content, err)
		}
	}
	// Who has it keeps it, whatever becomes of the file.
	content, err := reader.Pin(ctx)
	succeeds(t, err)
	succeeds(t, os.WriteFile(path, nil, 0o600))
	if string(content) != "hello, world" {
		t.Errorf("%q", content)
	}
	for range 3 {
		succeeds(t, reader.Unpin())
	}
	if freed, err := lazy.Drop(); err != nil || freed == 0 {
		t.Error(freed, err)
	}
	if content, err := reader.Pin(ctx); err != nil || len(content) != 0 {
		t.Errorf("%q, %v", content, err)
	}
	succeeds(t, reader.Unpin())
	succeeds(t, os.Remove(path))
	succeeds(t, lazy.Invalidate())
	_, err = reader.Pin(ctx)
	failsWith(t, err, ErrLoadFailed)
	succeeds(t, reader.Close())
	succeeds(t, lazy.Close())
	if _, err := NewLazyFile("no\xffpath", LazyFileConfig{}); !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
}
