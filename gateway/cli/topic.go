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
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/peal-dev/peal/internal/service"
)

// topicCommand is `peal topic …`. All of it is HTTP: the Durable Streams protocol.
type topicCommand struct {
	Create topicCreate `cmd:"" help:"Make a topic; one that is there just so is fine."`
	Append topicAppend `cmd:"" help:"Append to a topic; what is appended survives the node."`
	Read   topicRead   `cmd:"" help:"Print what a topic has."`
	Follow topicFollow `cmd:"" help:"Print what comes to a topic, until it is closed."`
	Close  topicClose  `cmd:"" help:"Close a topic: nothing can be appended any more."`
	Delete topicDelete `cmd:"" help:"Delete a topic and all it has."`
	Ls     topicList   `cmd:"" help:"List the topics of a node."`
}

// topicTimeout is how long a node may take for one request, beside the waiting of a poll.
const topicTimeout = 30 * time.Second

// named is a topic of a node.
type named struct {
	nodeFlags
	Name string `arg:"" help:"Name of the topic; it may have slashes."`
}

// Validate returns what is wrong with the flags and arguments.
func (c *named) Validate() error {
	err := c.nodeFlags.Validate()
	if c.Name == "" {
		err = errors.Join(err, errors.New("the name of the topic is empty"))
	}
	return err
}

// request sends a request about the topic and returns the answer, read whole, unless it is a refusal.
func (c *named) request(ctx context.Context, method string, query url.Values, header http.Header, body []byte) (http.Header, []byte, error) {
	base, err := c.base()
	if err != nil {
		return nil, nil, err
	}
	var escaped []string
	for part := range strings.SplitSeq(c.Name, "/") {
		escaped = append(escaped, url.PathEscape(part))
	}
	endpoint := base.JoinPath("/v1/stream/").String() + strings.Join(escaped, "/")
	if len(query) > 0 {
		endpoint += "?" + query.Encode()
	}
	return c.nodeFlags.send(ctx, method, endpoint, header, body)
}

// send sends a request and returns the answer, read whole, unless it is a refusal.
func (t *nodeFlags) send(ctx context.Context, method, endpoint string, header http.Header, body []byte) (http.Header, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, topicTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	t.authorize(request)
	client := newClient()
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, unreachable(t.URL, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode >= http.StatusMultipleChoices {
		if method == http.MethodHead && response.StatusCode == http.StatusNotFound { // which has no body
			return nil, nil, &apiError{response.StatusCode, "topic_not_found", "there is no such topic"}
		}
		return nil, nil, refusal(response)
	}
	text, err := io.ReadAll(response.Body)
	return response.Header, text, err
}

type topicCreate struct {
	named
	Type    string        `default:"application/json" placeholder:"TYPE" help:"Content type (default ${default}, whose messages are kept apart)."`
	TTL     time.Duration `name:"ttl" placeholder:"DURATION" help:"How long nobody has to read or write it for it to be deleted (default never)."`
	Expires string        `placeholder:"TIME" help:"When it is deleted, such as 2030-01-31T00:00:00Z (default never)."`
	From    string        `placeholder:"NAME" help:"Topic to fork: the new one begins with what that has."`
	At      string        `placeholder:"OFFSET" help:"Where to fork it (default its end)."`
}

// Run makes a topic.
func (c *topicCreate) Run(ctx context.Context, io streams) error {
	header := http.Header{"Content-Type": {c.Type}}
	if c.TTL > 0 {
		header.Set("Stream-TTL", strconv.FormatInt(int64(c.TTL.Seconds()), 10))
	}
	if c.Expires != "" {
		header.Set("Stream-Expires-At", c.Expires)
	}
	if c.From != "" {
		header.Set("Stream-Forked-From", "/v1/stream/"+c.From)
		header.Del("Content-Type")
	}
	if c.At != "" {
		header.Set("Stream-Fork-Offset", c.At)
	}
	got, _, err := c.request(ctx, http.MethodPut, nil, header, nil)
	return told(io, got, err)
}

// told prints where a topic ends.
func told(io streams, header http.Header, err error) error {
	if err == nil {
		_, err = fmt.Fprintln(io.out, header.Get("Stream-Next-Offset"))
	}
	return err
}

type topicAppend struct {
	named
	Producer string   `placeholder:"NAME" help:"Name of the producer: with it, --epoch and --seq the command can be repeated safely."`
	Epoch    uint64   `placeholder:"N" help:"Epoch of the producer; a greater one takes over (default 0)."`
	Seq      uint64   `placeholder:"N" help:"Number of the first of these appends in its epoch (default 0)."`
	Data     []string `arg:"" optional:"" help:"What to append, one after another; none reads one from the standard input."`
}

// Run appends, and prints where the topic ends after each.
func (c *topicAppend) Run(ctx context.Context, out streams) error {
	meta, _, err := c.request(ctx, http.MethodHead, nil, nil, nil)
	if err != nil {
		return err
	}
	if len(c.Data) == 0 {
		text, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		c.Data = []string{string(text)}
	}
	for i, data := range c.Data {
		header := http.Header{"Content-Type": meta["Content-Type"]}
		if c.Producer != "" {
			header.Set("Producer-Id", c.Producer)
			header.Set("Producer-Epoch", strconv.FormatUint(c.Epoch, 10))
			header.Set("Producer-Seq", strconv.FormatUint(c.Seq+uint64(i), 10))
		}
		got, _, err := c.request(ctx, http.MethodPost, nil, header, []byte(data))
		if err := told(out, got, err); err != nil {
			return err
		}
	}
	return nil
}

type topicRead struct {
	named
	Offset string `default:"start" placeholder:"OFFSET" help:"Behind what to begin: start, or an offset (default ${default})."`
}

// Run prints what is there.
func (c *topicRead) Run(ctx context.Context, io streams) error {
	offset := startOffset(c.Offset)
	for {
		header, body, err := c.request(ctx, http.MethodGet, url.Values{"offset": {offset}}, nil, nil)
		if err != nil {
			return err
		}
		if err := printData(io.out, header, body); err != nil {
			return err
		}
		offset = header.Get("Stream-Next-Offset")
		if header.Get("Stream-Up-To-Date") == "true" {
			_, _ = fmt.Fprintf(io.err, "peal: up to %s\n", offset) // nobody is left to tell when that fails
			return nil
		}
	}
}

// startOffset returns what the protocol calls the beginning, which would be taken for a flag.
func startOffset(s string) string {
	if s == "start" {
		return "-1"
	}
	return s
}

// printData prints bytes as they are, and messages of JSON a line each.
func printData(out io.Writer, header http.Header, body []byte) error {
	if !strings.HasPrefix(header.Get("Content-Type"), "application/json") {
		_, err := out.Write(body)
		return err
	}
	var messages []json.RawMessage
	if len(body) > 0 {
		if err := json.Unmarshal(body, &messages); err != nil {
			return fmt.Errorf("the node answered with something else than an array: %w", err)
		}
	}
	var lines bytes.Buffer
	for _, m := range messages {
		if err := json.Compact(&lines, m); err != nil {
			return err
		}
		lines.WriteByte('\n')
	}
	_, err := out.Write(lines.Bytes())
	return err
}

type topicFollow struct {
	named
	Offset string `default:"now" placeholder:"OFFSET" help:"Behind what to begin: now, start, or an offset (default ${default})."`
}

// Run prints what comes until the topic is closed or ctx is done. It goes on where it was when the node comes back.
func (c *topicFollow) Run(ctx context.Context, io streams) error {
	backoff := service.Backoff{Min: firstPause, Max: maxPause}
	offset, cursor := startOffset(c.Offset), ""
	header, _, err := c.request(ctx, http.MethodHead, nil, nil, nil)
	if err != nil {
		return err
	}
	if offset == "now" { // so that nothing is missed if the first poll fails
		offset = header.Get("Stream-Next-Offset")
	}
	_, _ = fmt.Fprintf(io.err, "peal: following %s behind %s\n", c.Name, offset) // nobody is left to tell when that fails
	for {
		query := url.Values{"offset": {offset}, "live": {"long-poll"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		header, body, err := c.request(ctx, http.MethodGet, query, nil, nil)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			var refused *apiError
			if errors.As(err, &refused) && !refused.temporary() {
				return err
			}
			pause := backoff.Next()
			_, _ = fmt.Fprintf(io.err, "peal: %v; trying again in %v\n", err, pause.Round(100*time.Millisecond))
			if !service.Pause(ctx, pause) {
				return nil
			}
			continue
		}
		backoff.Reset()
		if len(body) > 0 {
			if err := printData(io.out, header, body); err != nil {
				return err
			}
		}
		offset, cursor = header.Get("Stream-Next-Offset"), header.Get("Stream-Cursor")
		if header.Get("Stream-Closed") == "true" {
			return nil
		}
	}
}

type topicClose struct{ named }

// Run closes a topic.
func (c *topicClose) Run(ctx context.Context, io streams) error {
	got, _, err := c.request(ctx, http.MethodPost, nil, http.Header{"Stream-Closed": {"true"}}, nil)
	return told(io, got, err)
}

type topicDelete struct{ named }

// Run deletes a topic.
func (c *topicDelete) Run(ctx context.Context, io streams) error {
	_, _, err := c.request(ctx, http.MethodDelete, nil, nil, nil)
	if err == nil {
		_, err = fmt.Fprintln(io.out, "ok")
	}
	return err
}

type topicList struct{ nodeFlags }

// Run lists the topics: name, content type, items, bytes, whether it is closed, where it ends.
func (c *topicList) Run(ctx context.Context, io streams) error {
	endpoint, err := c.endpoint("/v1/topics")
	if err != nil {
		return err
	}
	after := ""
	for {
		_, body, err := c.send(ctx, http.MethodGet, endpoint+"?after="+url.QueryEscape(after), nil, nil)
		if err != nil {
			return err
		}
		var reply struct {
			Topics []struct {
				Name        string `json:"name"`
				ContentType string `json:"content_type"`
				NextOffset  string `json:"next_offset"`
				Closed      bool   `json:"closed"`
				Items       int    `json:"items"`
				Bytes       int    `json:"bytes"`
			} `json:"topics"`
			More bool `json:"more"`
		}
		if err := json.Unmarshal(body, &reply); err != nil {
			return fmt.Errorf("the node answered with something else: %w", err)
		}
		for _, t := range reply.Topics {
			state := "open"
			if t.Closed {
				state = "closed"
			}
			if _, err := fmt.Fprintf(io.out, "%s\t%s\t%d\t%d\t%s\t%s\n", t.Name, t.ContentType, t.Items, t.Bytes, state, t.NextOffset); err != nil {
				return err
			}
			after = t.Name
		}
		if !reply.More {
			return nil
		}
	}
}
