package ostler

import (
	"errors"
	"os"
	"os/exec"
	"testing"
)

const segmentRole = "OSTLER_TEST_SEGMENT_ROLE"

// TestSegmentRole is what the other process runs.
func TestSegmentRole(t *testing.T) {
	if os.Getenv(segmentRole) == "" {
		t.Skip("only for the process that another test starts")
	}
	file := os.NewFile(3, "segment")
	segment, err := AttachSegment(file, ReadWrite)
	succeeds(t, err)
	closes(t, segment)
	root, err := segment.Root()
	succeeds(t, err)
	words, err := segment.Get(root)
	succeeds(t, err)
	answer, block, err := segment.Alloc(len(words), 0)
	succeeds(t, err)
	for at := range words {
		answer[at] = words[len(words)-1-at]
	}
	succeeds(t, segment.SetRoot(block))
	if err := segment.Reset(); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a process that only attached resets: %v", err)
	}
}

func TestSegmentIsSharedWithAnotherProcess(t *testing.T) {
	segment, err := NewSegment(SegmentConfig{Name: "shared", Source: PageSource{Pages: PagesBase}, Bytes: 1 << 20})
	succeeds(t, err)
	closes(t, segment)
	words, block, err := segment.Alloc(5, 0)
	succeeds(t, err)
	copy(words, "horse")
	succeeds(t, segment.SetRoot(block))
	file, err := segment.File(ReadWrite)
	succeeds(t, err)
	closes(t, file)
	other := exec.Command(os.Args[0], "-test.run=^TestSegmentRole$")
	other.Env = append(os.Environ(), segmentRole+"=1")
	other.ExtraFiles = []*os.File{file}
	if said, err := other.CombinedOutput(); err != nil {
		t.Fatalf("the other process: %v: %s", err, said)
	}
	root, err := segment.Root()
	succeeds(t, err)
	answer, err := segment.Get(root)
	succeeds(t, err)
	if string(answer) != "esroh" || root == block {
		t.Errorf("the other process answered %q", answer)
	}
	if found, err := segment.Find(answer); err != nil || found != root {
		t.Errorf("the block of the answer is %#x, not %#x: %v", found, root, err)
	}
	succeeds(t, segment.Reset())
	if _, err := segment.Get(root); !errors.Is(err, ErrStaleBlock) {
		t.Errorf("a block outlived a reset: %v", err)
	}
	stats, err := segment.Stats()
	succeeds(t, err)
	if stats.Generation != 2 || stats.Owner != OwnerAlive || stats.OwnerProcess != uint64(os.Getpid()) {
		t.Errorf("stats are %+v", stats)
	}
}

func TestSegmentRefusesWhatIsNone(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "none")
	succeeds(t, err)
	closes(t, file)
	if _, err := AttachSegment(file, ReadOnly); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("a plain file is attached: %v", err)
	}
	if _, err := NewSegment(SegmentConfig{Bytes: -1}); !errors.Is(err, ErrInvalidArgument) {
		t.Errorf("a negative size: %v", err)
	}
	segment, err := NewSegment(SegmentConfig{SoleWriter: true})
	succeeds(t, err)
	closes(t, segment)
	readable, err := segment.File(ReadOnly)
	succeeds(t, err)
	closes(t, readable)
	if _, err := AttachSegment(readable, ReadWrite); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a reader writes: %v", err)
	}
	reader, err := AttachSegment(readable, ReadOnly)
	succeeds(t, err)
	if _, _, err := reader.Alloc(1, 0); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a reader allocates: %v", err)
	}
	succeeds(t, reader.Close())
}
