package journal_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/peal-dev/peal/internal/journal"
	"github.com/peal-dev/peal/internal/journal/journaltest"
)

// FuzzOpen opens a segment with anything in it. It is refused, or what is found stays found, with what is appended then.
func FuzzOpen(f *testing.F) {
	const name = dir + "/0000000000000000.seg"
	build := func(t testing.TB) (*journaltest.Disk, []byte) {
		d := journaltest.NewDisk()
		j, _ := open(t, small(d))
		for i := range 5 {
			put(t, j, record(i))
		}
		_ = j.Close()
		return d, d.Bytes(name)
	}
	_, whole := build(f)
	f.Add(uint16(0), []byte{})
	f.Add(uint16(32), []byte("changed"))
	f.Add(uint16(60), binary.LittleEndian.AppendUint32(nil, 1<<31|8))
	f.Add(uint16(100), whole[40:90])
	f.Fuzz(func(t *testing.T, offset uint16, change []byte) {
		d, b := build(t)
		for i, c := range change {
			if at := int(offset) + i; at < len(b) {
				d.Damage(name, int64(at), func(byte) byte { return c })
			}
		}
		read := func() (found []string, j *journal.Journal, err error) {
			j, err = journal.Open(dir, small(d), func(_ journal.Position, b []byte) error {
				found = append(found, string(b))
				return nil
			})
			return found, j, err
		}
		found, j, err := read()
		if err != nil {
			_, _ = journal.Salvage(t.Context(), dir, "/saved", small(two{d, journaltest.NewDisk()}))
			return
		}
		put(t, j, "more")
		_ = j.Close()
		again, j, err := read()
		if err != nil || !slices.Equal(again, append(found, "more")) {
			t.Fatalf("found %q, and after one more %q, %v", found, again, err)
		}
		_ = j.Close()
	})
}
