package filelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/internal/ledger"
	"github.com/peal-dev/peal/internal/journal"
	"github.com/peal-dev/peal/message"
)

// What a record of the journal is: its first byte. Numbers are varints, texts and bytes have their length before them.
const (
	kindEntry    = 1 // a batch
	kindState    = 2 // all of a topic but its items
	kindDeletion = 3 // of a topic
)

var errRecord = errors.New("the record is malformed")

// entry is a batch as it is read.
type entry struct {
	past  ledger.Past[journal.Position]
	items []eventlog.Item
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func appendOffset(dst []byte, o message.Offset) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, o.Ms), o.Seq)
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendEntry(dst []byte, topic string, b *eventlog.Batch, s *ledger.Step) []byte {
	dst = appendEntryHead(dst, topic, b.Key, b.Producer)
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, b.Epoch), b.Seq)
	dst = appendBool(binary.AppendUvarint(dst, s.Time), s.End)
	return appendItems(dst, s.Appended.First, s.Prev, b.Items)
}

// appendMoved appends a batch that was appended before: all but who did, which the topic's state tells.
func appendMoved(dst []byte, topic string, e *entry) []byte {
	dst = appendEntryHead(dst, topic, "", "")
	dst = binary.AppendUvarint(append(dst, 0, 0), e.past.Time)
	return appendItems(append(dst, 0), e.past.First, e.past.Prev, e.items)
}

func appendEntryHead(dst []byte, topic, key, producer string) []byte {
	return appendText(appendText(appendText(append(dst, kindEntry), topic), key), producer)
}

func appendItems(dst []byte, first, prev message.Offset, items []eventlog.Item) []byte {
	dst = appendOffset(appendOffset(dst, first), prev)
	dst = binary.AppendUvarint(dst, uint64(len(items)))
	for i := range items {
		dst = appendBytes(dst, items[i].Data)
		dst = binary.AppendUvarint(dst, uint64(len(items[i].Attachments)))
		for _, a := range items[i].Attachments {
			dst = appendBytes(dst, a)
		}
	}
	return dst
}

func appendState(dst []byte, topic string, s ledger.State) []byte {
	dst = appendText(append(dst, kindState), topic)
	dst = binary.AppendVarint(dst, int64(s.Policy.Age))
	dst = binary.AppendVarint(binary.AppendVarint(dst, int64(s.Policy.Count)), s.Policy.Bytes)
	dst = appendBool(appendOffset(appendOffset(dst, s.Floor), s.Top), s.Ended)
	dst = binary.AppendUvarint(dst, uint64(len(s.Producers)))
	for _, p := range s.Producers {
		dst = binary.AppendUvarint(binary.AppendUvarint(appendText(dst, p.Name), p.Epoch), p.Seq)
		dst = binary.AppendUvarint(appendOffset(appendOffset(dst, p.First), p.Last), p.Time)
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.Keys)))
	for _, k := range s.Keys {
		dst = binary.AppendUvarint(appendOffset(appendOffset(appendText(dst, k.Name), k.First), k.Last), k.Time)
	}
	return dst
}

// noteCost is what a key takes at most in a state beside its name.
const noteCost = 64

// fit forgets the oldest keys of a state that takes more than a number of bytes: with small segments.
func fit(s *ledger.State, bytes int64) {
	for _, p := range s.Producers {
		bytes -= int64(len(p.Name)) + 2*noteCost
	}
	for i := len(s.Keys) - 1; i >= 0; i-- {
		if bytes -= int64(len(s.Keys[i].Name)) + noteCost; bytes < 0 {
			s.Keys = s.Keys[i+1:]
			return
		}
	}
}

func appendDeletion(dst []byte, topic string) []byte {
	return appendText(append(dst, kindDeletion), topic)
}

// parser takes a record apart. After the first mistake it returns zeros.
type parser struct {
	b   []byte
	bad bool
}

func (p *parser) number() uint64 {
	n, size := binary.Uvarint(p.b)
	if size <= 0 {
		p.bad, p.b = true, nil
		return 0
	}
	p.b = p.b[size:]
	return n
}

func (p *parser) signed() int64 {
	n, size := binary.Varint(p.b)
	if size <= 0 {
		p.bad, p.b = true, nil
		return 0
	}
	p.b = p.b[size:]
	return n
}

// bytes returns a part of the record.
func (p *parser) bytes() []byte {
	n := p.number()
	if n > uint64(len(p.b)) {
		p.bad, p.b = true, nil
		return nil
	}
	b := p.b[:n:n]
	p.b = p.b[n:]
	return b
}

func (p *parser) text() string { return string(p.bytes()) }

// count returns a number of things that take a byte each at least.
func (p *parser) count() int {
	n := p.number()
	if n > uint64(len(p.b)) {
		p.bad, p.b = true, nil
		return 0
	}
	return int(n)
}

func (p *parser) flag() bool { return p.number() != 0 }

func (p *parser) offset() message.Offset {
	ms := p.number()
	return message.Offset{Ms: ms, Seq: p.number()}
}

// done returns an error unless the record is read to its end and was well formed.
func (p *parser) done() error {
	if p.bad || len(p.b) > 0 {
		return errRecord
	}
	return nil
}

// kindOf takes the kind from a record.
func kindOf(b []byte) (kind byte, p *parser) {
	if len(b) == 0 {
		return 0, &parser{bad: true}
	}
	return b[0], &parser{b: b[1:]}
}

// parseEntry reads the record of a batch, of which the items keep parts.
func parseEntry(b []byte) (topic string, e entry, err error) {
	kind, p := kindOf(b)
	if kind != kindEntry {
		return "", e, fmt.Errorf("%w: kind %d is no batch", errRecord, kind)
	}
	topic = p.text()
	e.past.Key, e.past.Producer = p.text(), p.text()
	e.past.Epoch, e.past.Seq, e.past.Time, e.past.End = p.number(), p.number(), p.number(), p.flag()
	e.past.First, e.past.Prev = p.offset(), p.offset()
	e.past.N = p.count()
	for range e.past.N {
		item := eventlog.Item{Data: p.bytes()}
		for range p.count() {
			item.Attachments = append(item.Attachments, p.bytes())
		}
		e.past.Bytes += item.Size()
		e.items = append(e.items, item)
	}
	(&ledger.Step{Appended: eventlog.Appended{First: e.past.First}, Prev: e.past.Prev}).Place(e.items)
	return topic, e, p.done()
}

func parseState(b []byte) (topic string, s ledger.State, err error) {
	_, p := kindOf(b)
	topic = p.text()
	s.Policy = eventlog.Policy{Age: time.Duration(p.signed()), Count: int(p.signed()), Bytes: p.signed()}
	s.Floor, s.Top, s.Ended = p.offset(), p.offset(), p.flag()
	for range p.count() {
		k := ledger.Producer{Name: p.text(), Epoch: p.number(), Seq: p.number(), First: p.offset(), Last: p.offset(), Time: p.number()}
		s.Producers = append(s.Producers, k)
	}
	for range p.count() {
		s.Keys = append(s.Keys, ledger.Key{Name: p.text(), First: p.offset(), Last: p.offset(), Time: p.number()})
	}
	return topic, s, p.done()
}

// replay takes up a record of the journal while that is opened.
func (s *Store) replay(at journal.Position, record []byte) error {
	kind, p := kindOf(record)
	switch kind {
	case kindEntry:
		name, e, err := parseEntry(record)
		if err != nil {
			return err
		}
		e.past.At = at
		if t := s.topics[name]; t != nil {
			t.Replay(e.past)
		} else {
			s.early[name] = append(s.early[name], e.past)
		}
		s.reached(e.past.Last())
		return nil
	case kindState:
		name, state, err := parseState(record)
		if err != nil {
			return err
		}
		t := s.topics[name]
		if t == nil {
			t = s.restore(name, state)
		} else {
			t.Overwrite(state)
		}
		t.stated.Store(uint64(at))
		s.reached(state.Top)
		return nil
	case kindDeletion:
		name := p.text()
		delete(s.topics, name)
		delete(s.early, name)
		return p.done()
	}
	return fmt.Errorf("%w: kind %d", errRecord, kind)
}
