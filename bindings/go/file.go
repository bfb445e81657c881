package ostler

// #include <stdlib.h>
// #include "shim_file.h"
import "C"

import "unsafe"

// Readahead is what a mapped file reads before it is asked for.
type Readahead uint32

const (
	ReadaheadAll        Readahead = C.OSTLER_READAHEAD_ALL
	ReadaheadSequential Readahead = C.OSTLER_READAHEAD_SEQUENTIAL
	ReadaheadNone       Readahead = C.OSTLER_READAHEAD_NONE
)

// FileConfig says how a file comes into memory. The zero value maps all of it and reads it in the background.
type FileConfig struct {
	Name        string
	Copy        bool       // onto pages of Source, instead of mapping it
	Source      PageSource // of a copy
	Readahead   Readahead
	Prefault    bool // all of it is in memory when it is opened
	Lock        bool // and stays there
	OffsetBytes int
	LengthBytes int // 0 is to the end
}

// FileInfo is how a file is now.
type FileInfo struct {
	Bytes, ResidentBytes, FileBytes uint64
	Cut                             bool // part of the contents is no longer in the file
	Changed                         bool // it was written to or cut since it was opened
}

// File is the contents of a file in memory. While a mapped file is open, nobody may cut it: a read beyond its new end is
// answered with SIGBUS.
type File struct{ handle C.uintptr_t }

// OpenFile opens a file to be read in memory.
func OpenFile(path string, config FileConfig) (*File, error) {
	var given arguments
	var c C.ostler_file_config
	if err := failure(C.ostler_go_file_config_init(&c)); err != nil {
		return nil, err
	}
	source := config.Source.given(&given)
	if config.Copy {
		c.mode = C.OSTLER_FILE_COPY
	}
	c.readahead = C.uint32_t(config.Readahead)
	c.prefault, c.lock = flag(config.Prefault), flag(config.Lock)
	c.offset_bytes = given.amount("OffsetBytes", config.OffsetBytes)
	c.length_bytes = given.amount("LengthBytes", config.LengthBytes)
	given.name(config.Name, &c.name)
	if given.err != nil {
		return nil, given.err
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	opened := C.ostler_go_file_open(name, &c, &source)
	if err := failure(opened.failure); err != nil {
		return nil, err
	}
	return &File{handle: opened.handle}, nil
}

// Close takes the memory back. Nobody may read the contents any more.
func (f *File) Close() error { return gone(failure(C.ostler_go_file_destroy(f.handle))) }

// Contents lie outside of Go's heap, must only be read, and stay until Close.
func (f *File) Contents() ([]byte, error) {
	contents := C.ostler_go_file_get_contents(f.handle)
	if err := failure(contents.failure); err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(contents.data), int(contents.bytes)), nil
}

// Info asks how much of the file is in memory, and whether somebody cut or changed it.
func (f *File) Info() (FileInfo, error) {
	var c C.ostler_file_info
	if err := failure(C.ostler_go_file_get_info(f.handle, &c)); err != nil {
		return FileInfo{}, err
	}
	return FileInfo{
		Bytes: uint64(c.bytes), ResidentBytes: uint64(c.resident_bytes), FileBytes: uint64(c.file_bytes),
		Cut: c.is_cut != 0, Changed: c.is_changed != 0,
	}, nil
}

// Receipt is what the pages of a copy asked for and got.
func (f *File) Receipt() (Receipt, error) {
	var c C.ostler_receipt
	if err := failure(C.ostler_go_file_get_receipt(f.handle, &c)); err != nil {
		return Receipt{}, err
	}
	return receiptOf(&c), nil
}
