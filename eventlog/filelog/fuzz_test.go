package filelog

import (
	"bytes"
	"testing"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/internal/ledger"
	"github.com/peal-dev/peal/internal/journal"
	"github.com/peal-dev/peal/message"
)

// FuzzRecord reads records with anything in them: each is refused, or says the same when it is written again.
func FuzzRecord(f *testing.F) {
	o := message.Offset{Ms: 1700000000000, Seq: 3}
	b := &eventlog.Batch{Items: []eventlog.Item{{Data: []byte("data"), Attachments: [][]byte{{1}, {}}}, {}}, Key: "k", Producer: "p", Epoch: 1, Seq: 2}
	f.Add(appendEntry(nil, "topic", b, &ledger.Step{Appended: eventlog.Appended{First: o}, Prev: o, Time: 5, End: true}))
	f.Add(appendState(nil, "topic", ledger.State{Policy: eventlog.Policy{Age: -1, Count: 2, Bytes: 3}, Floor: o, Top: o, Ended: true,
		Producers: []ledger.Producer{{Name: "p", Epoch: 1, First: o}}, Keys: []ledger.Key{{Name: "k", Last: o, Time: 9}}}))
	f.Add(appendDeletion(nil, "topic"))
	f.Add([]byte{kindEntry, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 3})
	f.Fuzz(func(t *testing.T, record []byte) {
		if name, e, err := parseEntry(record); err == nil {
			b := &eventlog.Batch{Items: e.items, Key: e.past.Key, Producer: e.past.Producer, Epoch: e.past.Epoch, Seq: e.past.Seq}
			s := &ledger.Step{Appended: eventlog.Appended{First: e.past.First}, Prev: e.past.Prev, Time: e.past.Time, End: e.past.End}
			again := appendEntry(nil, name, b, s)
			if _, e2, err := parseEntry(again); err != nil || !bytes.Equal(again, appendEntry(nil, name, &eventlog.Batch{Items: e2.items, Key: e2.past.Key, Producer: e2.past.Producer, Epoch: e2.past.Epoch, Seq: e2.past.Seq}, s)) {
				t.Fatalf("%x is read as %+v and written as %x: %v", record, e, again, err)
			}
		}
		if name, state, err := parseState(record); err == nil {
			again := appendState(nil, name, state)
			if _, state2, err := parseState(again); err != nil || !bytes.Equal(again, appendState(nil, name, state2)) {
				t.Fatalf("%x is read as %+v and written as %x: %v", record, state, again, err)
			}
		}
		s := &Store{topics: map[string]*topic{}, early: map[string][]ledger.Past[journal.Position]{}}
		if s.replay(8, record) == nil { // a second time it is of a topic that is there
			_ = s.replay(16, record)
		}
	})
}
