package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/peal-dev/peal/adapter"
)

// lines is the language that node/lines.mjs describes.
type lines struct {
	mu  sync.Mutex
	out io.Writer
}

// command is one line of the test. Which fields count depends on Op.
type command struct {
	ID                     int
	Op, Namespace, Event   string
	By                     string // "emitter", or the node itself
	Rooms, Except, Change  []string
	Volatile, Local, Close bool
	Socket                 string
	Timeout                int // ms
	From, Count, Rate      int // Rate is how many a second, if it is not 0
	Args                   values
}

// operation carries a command out.
type operation struct {
	run func(ctx context.Context, c *command) (any, error)
	// waits is set for one that waits for others, so that commands behind it go on.
	waits bool
}

// say writes one document.
func (l *lines) say(document any) {
	line, err := json.Marshal(document)
	if err != nil {
		line, _ = json.Marshal(map[string]string{"error": err.Error()})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.out.Write(append(line, '\n')) // whoever does not listen any more needs none
}

// serve answers commands until there are no more, and waits for those that still run.
func (l *lines) serve(ctx context.Context, in io.Reader, operations map[string]operation) error {
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer running.Wait()
	defer cancel()
	reader := bufio.NewReaderSize(in, 1<<16)
	for {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading commands: %w", err)
		}
		c := new(command)
		if err := json.Unmarshal(line, c); err != nil {
			return fmt.Errorf("command %.200q: %w", line, err)
		}
		op, ok := operations[c.Op]
		switch {
		case !ok:
			l.answer(c.ID, nil, fmt.Errorf("no such command: %s", c.Op))
		case op.waits:
			running.Go(func() { l.carryOut(ctx, op, c) })
		default:
			l.carryOut(ctx, op, c)
		}
	}
}

func (l *lines) carryOut(ctx context.Context, op operation, c *command) {
	timeout := askTimeout
	if c.Timeout > 0 {
		timeout = time.Duration(c.Timeout) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	result, err := op.run(ctx, c)
	l.answer(c.ID, result, err)
}

func (l *lines) answer(id int, result any, err error) {
	answer := map[string]any{"id": id, "result": encode(result)}
	if err != nil {
		answer["error"] = err.Error()
		if incomplete := new(adapter.IncompleteError); errors.As(err, &incomplete) {
			answer["missing"] = len(incomplete.Missing)
		}
	}
	l.say(answer)
}

// values are arguments in which {"$bin"} stands for bytes.
type values []any

// UnmarshalJSON implements json.Unmarshaler.
func (v *values) UnmarshalJSON(data []byte) error {
	var raw []any
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*v = decode(raw).([]any)
	return nil
}

func decode(value any) any {
	switch v := value.(type) {
	case []any:
		for i := range v {
			v[i] = decode(v[i])
		}
	case map[string]any:
		if text, ok := v["$bin"].(string); ok {
			if data, err := base64.StdEncoding.DecodeString(text); err == nil {
				return data
			}
		}
		for key := range v {
			v[key] = decode(v[key])
		}
	}
	return value
}

func encode(value any) any {
	switch v := value.(type) {
	case []byte:
		return map[string]string{"$bin": base64.StdEncoding.EncodeToString(v)}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = encode(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key := range v {
			out[key] = encode(v[key])
		}
		return out
	}
	return value
}
