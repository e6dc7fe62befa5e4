package streamhttp

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/peal-dev/peal/message"
)

// control is the data of a control event (section 5.8 of the protocol).
type control struct {
	Next     string `json:"streamNextOffset"`
	Cursor   string `json:"streamCursor,omitempty"`
	UpToDate bool   `json:"upToDate,omitempty"`
	Closed   bool   `json:"streamClosed,omitempty"`
}

// events writes a stream as Server-Sent Events.
type events struct {
	h      *Handler
	w      http.ResponseWriter
	rc     *http.ResponseController
	st     *stream
	cursor string // the least it may have
}

// stream answers with Server-Sent Events, beginning with a chunk, until the stream is closed, its client is to come again, or
// it has left.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request, st *stream, q *query, c chunk) error {
	if err := h.waits(); err != nil {
		return err
	}
	defer h.readers.Add(-1)
	ctx, cancel := h.during(r, h.opts.StreamTime)
	defer cancel()
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-cache")
	header.Set("X-Accel-Buffering", "no") // nginx would wait for more
	if !isText(st.ContentType) {
		header.Set("Stream-SSE-Data-Encoding", "base64")
	}
	if c.closed {
		header.Set(headerClosed, "true")
		if q.now {
			header.Set(headerUpToDate, "true")
			header.Set(headerNext, formatOffset(c.next))
		}
	}
	w.WriteHeader(http.StatusOK)
	e := &events{h: h, w: w, rc: http.NewResponseController(w), st: st, cursor: nextCursor(q.cursor, time.Now())}
	for e.send(&c) == nil && !c.closed {
		var err error
		if c, err = e.next(ctx, r, c.next, c.upToDate); err != nil {
			return nil // what it is, the client is told when it comes again
		}
	}
	return nil
}

// next returns what comes behind an offset, and keeps the connection alive until then.
func (e *events) next(ctx context.Context, r *http.Request, after message.Offset, upToDate bool) (chunk, error) {
	for upToDate {
		if err := ctx.Err(); err != nil {
			return chunk{}, err
		}
		silent, cancel := context.WithTimeout(ctx, e.h.opts.KeepAlive)
		err := e.st.wait(silent, after)
		over := silent.Err() != nil
		cancel()
		if err == nil {
			break
		}
		if !over || ctx.Err() != nil {
			return chunk{}, err
		}
		if err := e.write([]byte(":\n\n")); err != nil {
			return chunk{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return chunk{}, err
	}
	return e.h.chunk(r.Context(), e.st, after)
}

// send sends a chunk: its data, if it has any, and where that ends.
func (e *events) send(c *chunk) error {
	var b bytes.Buffer
	if len(c.items) > 0 {
		b.WriteString("event: data\n")
		data := c.body(e.st.ContentType)
		if isText(e.st.ContentType) {
			writeLines(&b, data)
		} else {
			b.WriteString("data:")
			b.WriteString(base64.StdEncoding.EncodeToString(data))
			b.WriteByte('\n')
		}
		b.WriteByte('\n')
		e.h.delivered(c)
	}
	at := control{Next: formatOffset(c.next), UpToDate: c.upToDate, Closed: c.closed}
	if !c.closed {
		at.Cursor = e.cursor
		if now := nextCursor("", time.Now()); len(now) > len(at.Cursor) || len(now) == len(at.Cursor) && now > at.Cursor {
			at.Cursor = now
		}
	}
	data, err := json.Marshal(at)
	if err != nil {
		return err
	}
	b.WriteString("event: control\ndata:")
	b.Write(data)
	b.WriteString("\n\n")
	return e.write(b.Bytes())
}

func (e *events) write(b []byte) error {
	setWriteDeadline(e.w, e.h.opts.WriteTimeout)
	if _, err := e.w.Write(b); err != nil {
		return err
	}
	return e.rc.Flush()
}

// writeLines writes text as data of an event. A line ends with CR LF, LF or CR, and is read as ending with LF.
func writeLines(b *bytes.Buffer, text []byte) {
	for {
		i := bytes.IndexAny(text, "\r\n")
		line := text
		if i >= 0 {
			line = text[:i]
		}
		b.WriteString("data:")
		if len(line) > 0 && line[0] == ' ' {
			b.WriteByte(' ') // readers take one off
		}
		b.Write(line)
		b.WriteByte('\n')
		if i < 0 {
			return
		}
		if text[i] == '\r' && i+1 < len(text) && text[i+1] == '\n' {
			i++
		}
		text = text[i+1:]
	}
}
