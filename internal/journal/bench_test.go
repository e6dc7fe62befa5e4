package journal_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/peal-dev/peal/internal/journal"
)

// BenchmarkAppend is what an append costs on the disk of TMPDIR when so many wait for it at once. lab/durable compares it
// with the disk itself and with other engines.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 64, 1024} {
		for d, name := range map[journal.Durability]string{journal.OnDisk: "disk", journal.InOS: "os"} {
			b.Run(fmt.Sprintf("writers=%d/%s", writers, name), func(b *testing.B) {
				j, err := journal.Open(b.TempDir(), nil, func(journal.Position, []byte) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = j.Close() }()
				data := make([]byte, 100)
				b.ReportAllocs()
				b.SetBytes(int64(len(data)))
				var left atomic.Int64
				left.Store(int64(b.N))
				done := make(chan error, writers)
				b.ResetTimer()
				for range writers {
					go func() {
						for left.Add(-1) >= 0 {
							if _, err := j.Append(b.Context(), d, data); err != nil {
								done <- err
								return
							}
						}
						done <- nil
					}()
				}
				for range writers {
					if err := <-done; err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
