package ostler

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestFilesAreMappedAndCopied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model")
	wanted := bytes.Repeat([]byte("weights "), 10000)
	succeeds(t, os.WriteFile(path, wanted, 0o600))
	for _, config := range []FileConfig{{}, {Prefault: true}, {Copy: true, Source: PageSource{Pages: PagesBase}},
		{OffsetBytes: 8, LengthBytes: 800, Readahead: ReadaheadNone}} {
		file, err := OpenFile(path, config)
		succeeds(t, err)
		closes(t, file)
		contents, err := file.Contents()
		succeeds(t, err)
		end := len(wanted)
		if config.LengthBytes > 0 {
			end = config.OffsetBytes + config.LengthBytes
		}
		if !bytes.Equal(contents, wanted[config.OffsetBytes:end]) {
			t.Errorf("%+v has other contents", config)
		}
		info, err := file.Info()
		succeeds(t, err)
		if info.Cut || info.Changed || info.FileBytes != uint64(len(wanted)) || info.Bytes != uint64(len(contents)) {
			t.Errorf("%+v", info)
		}
		receipt, err := file.Receipt()
		if config.Copy {
			succeeds(t, err)
			if receipt.MappedBytes < uint64(len(contents)) {
				t.Errorf("%+v", receipt)
			}
		} else {
			failsWith(t, err, ErrUnsupported)
		}
	}
	_, err := OpenFile(filepath.Join(t.TempDir(), "none"), FileConfig{})
	failsWith(t, err, ErrSystem)
	_, err = OpenFile(path, FileConfig{OffsetBytes: -1})
	failsWith(t, err, ErrInvalidArgument)
}
