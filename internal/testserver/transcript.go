package testserver

import (
	"bytes"
	"sync"
)

// transcript keeps what a server writes and says when a text was among it, which spares polling.
type transcript struct {
	text  string
	found chan struct{}

	mu   sync.Mutex
	data []byte
	once sync.Once
}

func newTranscript(text string) *transcript {
	return &transcript{text: text, found: make(chan struct{})}
}

func (b *transcript) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data = append(b.data, p...)
	if bytes.Contains(b.data, []byte(b.text)) {
		b.once.Do(func() { close(b.found) })
	}
	return len(p), nil
}

func (b *transcript) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.data)
}
