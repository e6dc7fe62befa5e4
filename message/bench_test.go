package message_test

import (
	"testing"

	"github.com/peal-dev/peal/message"
)

// BenchmarkFormat is what a format costs each recipient once the bytes are there.
func BenchmarkFormat(b *testing.B) {
	namespace := message.NamespaceOf("/metrics")
	m := message.New([]byte(`["tick",1]`))
	for b.Loop() {
		_ = lines.Of(m, namespace)
	}
}
