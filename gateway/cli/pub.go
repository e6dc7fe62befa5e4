package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// pubCommand is `peal pub`.
type pubCommand struct {
	target
	Event   string        `default:"message" placeholder:"NAME" help:"Name of the event (default ${default})."`
	Except  []string      `placeholder:"NAME" sep:"none" help:"Room whose members do not receive it; repeatable."`
	Timeout time.Duration `default:"10s" placeholder:"DURATION" help:"How long the node may take (default ${default})."`
	Args    []string      `arg:"" optional:"" name:"json" help:"Arguments of the event, each as JSON: '\"text\"', 12, '{\"a\":1}'."`
}

// Validate returns what is wrong with the flags and arguments.
func (c *pubCommand) Validate() error {
	errs := []error{c.target.Validate()}
	for i, arg := range c.Args {
		if !json.Valid([]byte(arg)) {
			quoted, _ := json.Marshal(arg) // a string cannot fail
			errs = append(errs, fmt.Errorf("argument %d is not JSON: %s; if you mean the text, write '%s'", i+1, arg, quoted))
		}
	}
	return errors.Join(errs...)
}

// Run publishes one event.
func (c *pubCommand) Run(ctx context.Context, io streams) error {
	args := make([]json.RawMessage, len(c.Args))
	for i, arg := range c.Args {
		args[i] = json.RawMessage(arg)
	}
	body, err := json.Marshal(struct {
		Namespace string            `json:"namespace"`
		Rooms     []string          `json:"rooms,omitempty"`
		Except    []string          `json:"except,omitempty"`
		Event     string            `json:"event"`
		Args      []json.RawMessage `json:"args"`
	}{c.Namespace, c.Room, c.Except, c.Event, args})
	if err != nil {
		return err
	}
	endpoint, err := c.endpoint("/v1/publish")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	c.authorize(request)
	client := newClient()
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return unreachable(c.URL, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return refusal(response)
	}
	_, err = fmt.Fprintln(io.out, "ok")
	return err
}
