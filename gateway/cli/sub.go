package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/peal-dev/peal/internal/service"
	"github.com/peal-dev/peal/sse"
)

// Pauses between attempts to connect.
const (
	firstPause = 500 * time.Millisecond
	maxPause   = 30 * time.Second
)

// subCommand is `peal sub`.
type subCommand struct {
	target
	JSON    bool          `name:"json" help:"Print JSON objects with id, event and args instead of the event and its arguments."`
	Silence time.Duration `default:"1m" placeholder:"DURATION" help:"Connect again when nothing came for so long, not even a keep-alive; 0 waits forever (default ${default})."`
}

// Run prints events until ctx is done. It connects again whenever the stream ends, unless the node refuses it for good.
func (c *subCommand) Run(ctx context.Context, streams streams) error {
	endpoint, err := c.endpoint("/v1/events")
	if err != nil {
		return err
	}
	endpoint += "?" + url.Values{"namespace": {c.Namespace}, "room": c.Room}.Encode()
	client := newClient()
	defer client.CloseIdleConnections()
	note := func(format string, args ...any) {
		// The events on stdout count; a terminal that is gone does not read notes.
		_, _ = fmt.Fprintf(streams.err, "peal: "+format+"\n", args...)
	}
	backoff := service.Backoff{Min: firstPause, Max: maxPause}
	for {
		opened, asked, err := c.follow(ctx, client, endpoint, streams.out, note)
		if ctx.Err() != nil {
			return nil
		}
		if refused := (*apiError)(nil); errors.As(err, &refused) && !refused.temporary() {
			return err
		}
		if failed := (*printError)(nil); errors.As(err, &failed) {
			return err
		}
		if opened {
			backoff.Min = max(asked, firstPause)
			backoff.Max = max(maxPause, backoff.Min*3/2)
			backoff.Reset()
		}
		pause := backoff.Next()
		note("%v; connecting again in %v", err, pause.Round(100*time.Millisecond))
		if !service.Pause(ctx, pause) {
			return nil
		}
	}
}

// follow prints one stream until it ends, which is always an error. It reports whether there was a stream and how long
// the node has asked to wait after it.
func (c *subCommand) follow(ctx context.Context, client *http.Client, endpoint string, out io.Writer, note func(string, ...any)) (opened bool, retry time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return false, 0, err
	}
	request.Header.Set("Accept", "text/event-stream")
	c.authorize(request)
	response, err := client.Do(request)
	if err != nil {
		return false, 0, unreachable(c.URL, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return false, 0, refusal(response)
	}
	note("following %s", endpoint)
	body := io.Reader(response.Body)
	if c.Silence > 0 {
		guard := time.AfterFunc(c.Silence, func() { cancel(fmt.Errorf("nothing came for %v", c.Silence)) })
		defer guard.Stop()
		body = &watched{reader: body, guard: guard, limit: c.Silence}
	}
	events := sse.NewReader(body)
	for {
		event, err := events.Next()
		switch {
		case ctx.Err() != nil:
			return true, events.Retry(), context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return true, events.Retry(), errors.New("the node ended the stream")
		case err != nil:
			return true, events.Retry(), err
		}
		if _, err := out.Write(c.line(event)); err != nil {
			return true, 0, &printError{err}
		}
	}
}

// line is how an event is printed: always one line, and without control characters, which a terminal would obey.
func (c *subCommand) line(event sse.Event) []byte {
	var args bytes.Buffer
	if err := json.Compact(&args, []byte(event.Data)); err != nil {
		// Not from a Peal node, but still to be shown.
		args.Reset()
		quoted, _ := json.Marshal(event.Data) // a string cannot fail
		args.Write(quoted)
	}
	if c.JSON {
		line, _ := json.Marshal(struct { // valid JSON by now
			ID    string          `json:"id,omitempty"`
			Event string          `json:"event"`
			Args  json.RawMessage `json:"args"`
		}{event.ID, event.Name, args.Bytes()})
		return append(line, '\n')
	}
	name := event.Name
	if strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		name = strconv.Quote(name)
	}
	return append(append(append([]byte(name), ' '), args.Bytes()...), '\n')
}

// watched pushes a timer back at every read that brings something.
type watched struct {
	reader io.Reader
	guard  *time.Timer
	limit  time.Duration
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.reader.Read(p)
	if n > 0 {
		w.guard.Reset(w.limit)
	}
	return n, err
}

// printError ends sub: there is nowhere to print to.
type printError struct{ error }

// Unwrap returns the cause.
func (e *printError) Unwrap() error { return e.error }

// newClient returns a client with connections of its own and without an overall timeout.
func newClient() *http.Client {
	return &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
}
