package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// nodeFlags name the node that a command talks to.
type nodeFlags struct {
	URL    string `name:"url" env:"PEAL_URL" default:"http://127.0.0.1:8080" placeholder:"URL" help:"The node's base URL (default ${default})."`
	APIKey string `name:"api-key" env:"PEAL_API_KEY" placeholder:"KEY" help:"The node's API key."`
}

// target is the node that pub and sub talk to, and the rooms.
type target struct {
	nodeFlags
	Namespace string   `default:"/" placeholder:"/NAME" help:"Namespace of the rooms (default ${default})."`
	Room      []string `placeholder:"NAME" sep:"none" help:"Room; repeatable. None means everyone in the namespace."`
}

// base returns the URL taken apart.
func (t *nodeFlags) base() (*url.URL, error) {
	base, err := url.Parse(t.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("--url: %q is no URL of a node; write for instance http://127.0.0.1:8080", t.URL)
	}
	return base, nil
}

// Validate returns what is wrong with the flags.
func (t *nodeFlags) Validate() error {
	_, err := t.base()
	return err
}

// endpoint returns the URL of an API path on the node.
func (t *nodeFlags) endpoint(path string) (string, error) {
	base, err := t.base()
	if err != nil {
		return "", err
	}
	return base.JoinPath(path).String(), nil
}

func (t *nodeFlags) authorize(request *http.Request) {
	if t.APIKey != "" {
		request.Header.Set("Authorization", "Bearer "+t.APIKey)
	}
}

// apiError is a node's refusal.
type apiError struct {
	status        int
	code, message string
}

func (e *apiError) Error() string {
	return fmt.Sprintf("the node answered %d %s: %s", e.status, e.code, e.message)
}

// temporary reports whether the same request may succeed later, here or on another node.
func (e *apiError) temporary() bool {
	return e.status >= 500 || e.status == http.StatusTooManyRequests || e.status == http.StatusRequestTimeout
}

// refusal reads the error of an answer that is no success.
func refusal(response *http.Response) error {
	var body struct {
		Error struct{ Code, Message string }
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil || json.Unmarshal(text, &body) != nil || body.Error.Code == "" {
		// Something else than a node, a proxy for instance.
		return &apiError{response.StatusCode, strings.ToLower(http.StatusText(response.StatusCode)), "is this the URL of a Peal node?"}
	}
	return &apiError{response.StatusCode, body.Error.Code, body.Error.Message}
}

// unreachable says what to do when there was no answer at all.
func unreachable(base string, err error) error {
	// Its text repeats method and URL.
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fmt.Errorf("cannot reach %s; is the node running, and is --url right?: %w", base, err)
}
