package main

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	bolt "go.etcd.io/bbolt"
	_ "modernc.org/sqlite" // the driver

	"github.com/peal-dev/peal/internal/journal"
)

// group is the group commit of engines that have none: whoever appends while it commits is in the next turn. As the journal
// does, it lets those come along whom the last turn has just woken.
type group struct {
	last int // how many were in the last turn

	commit func(records [][]byte) error
	stop   func() error

	mu     sync.Mutex
	next   *batch
	kick   chan struct{}
	closed chan struct{}
	ended  chan struct{}
}

type batch struct {
	records [][]byte
	done    chan struct{}
	err     error
}

func newGroup(commit func([][]byte) error, stop func() error) *group {
	g := &group{commit: commit, stop: stop, kick: make(chan struct{}, 1), closed: make(chan struct{}), ended: make(chan struct{})}
	g.next = &batch{done: make(chan struct{})}
	go g.run()
	return g
}

func (g *group) run() {
	defer close(g.ended)
	for {
		select {
		case <-g.kick:
		case <-g.closed:
			return
		}
		if g.gather() == 0 {
			continue // who is in the last turn has signalled twice
		}
		g.mu.Lock()
		b := g.next
		g.last = len(b.records)
		g.next = &batch{done: make(chan struct{})}
		g.mu.Unlock()
		b.err = g.commit(b.records)
		close(b.done)
	}
}

// gather returns how many there are.
func (g *group) gather() int {
	before := 0
	for idle := 0; ; idle++ {
		g.mu.Lock()
		n := len(g.next.records)
		g.mu.Unlock()
		if n >= g.last || n == 0 || idle == 3 {
			return n
		}
		if n > before {
			before, idle = n, 0
		}
		runtime.Gosched()
	}
}

func (g *group) append(record []byte) error {
	g.mu.Lock()
	b := g.next
	b.records = append(b.records, record)
	g.mu.Unlock()
	select {
	case g.kick <- struct{}{}:
	default:
	}
	<-b.done
	return b.err
}

func (g *group) close() error {
	close(g.closed)
	<-g.ended
	return g.stop()
}

// openRaw is the floor: the bytes, one after another, in a preallocated file.
func openRaw(dir string) (engine, error) {
	const size = 64 << 20
	f, err := os.Create(filepath.Join(dir, "raw"))
	if err != nil {
		return nil, err
	}
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, size); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	var buf []byte
	var at int64
	return newGroup(func(records [][]byte) error {
		buf = buf[:0]
		for _, r := range records {
			buf = append(buf, r...)
		}
		if at+int64(len(buf)) > size {
			at = 0
		}
		if _, err := f.WriteAt(buf, at); err != nil {
			return err
		}
		at += int64(len(buf))
		return syscall.Fdatasync(int(f.Fd()))
	}, f.Close), nil
}

type journalEngine struct{ *journal.Journal }

func openJournal(dir string) (engine, error) {
	j, err := journal.Open(dir, nil, func(journal.Position, []byte) error { return nil })
	return journalEngine{j}, err
}

func (e journalEngine) append(record []byte) error {
	_, err := e.Append(context.Background(), journal.OnDisk, record)
	return err
}

func (e journalEngine) close() error { return e.Close() }

type pebbleEngine struct {
	db *pebble.DB
	mu sync.Mutex
	n  uint64
}

// openPebble leaves group commit to the engine, which has its own.
func openPebble(dir string) (engine, error) {
	db, err := pebble.Open(dir, &pebble.Options{Logger: quiet{}})
	return &pebbleEngine{db: db}, err
}

func (e *pebbleEngine) append(record []byte) error {
	e.mu.Lock()
	e.n++
	key := binary.BigEndian.AppendUint64(nil, e.n)
	e.mu.Unlock()
	return e.db.Set(key, record, pebble.Sync)
}

func (e *pebbleEngine) close() error { return e.db.Close() }

// quiet is a logger that says nothing.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}

func openSQLite(dir string) (engine, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE log (id INTEGER PRIMARY KEY, data BLOB)"); err != nil {
		return nil, err
	}
	insert, err := db.Prepare("INSERT INTO log (data) VALUES (?)")
	if err != nil {
		return nil, err
	}
	return newGroup(func(records [][]byte) error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		in := tx.Stmt(insert)
		for _, r := range records {
			if _, err := in.Exec(r); err != nil {
				return errors.Join(err, tx.Rollback())
			}
		}
		return tx.Commit()
	}, db.Close), nil
}

func openBolt(dir string) (engine, error) {
	db, err := bolt.Open(filepath.Join(dir, "db"), 0o600, nil)
	if err != nil {
		return nil, err
	}
	name := []byte("log")
	if err := db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket(name); return err }); err != nil {
		return nil, err
	}
	return newGroup(func(records [][]byte) error {
		return db.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket(name)
			b.FillPercent = 0.9
			for _, r := range records {
				n, err := b.NextSequence()
				if err != nil {
					return err
				}
				if err := b.Put(binary.BigEndian.AppendUint64(nil, n), r); err != nil {
					return err
				}
			}
			return nil
		})
	}, db.Close), nil
}
