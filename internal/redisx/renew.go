package redisx

import (
	"context"
	_ "embed" // the script
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

//go:embed renew.lua
var renewScript string

// Renewal replaces a value by another if a part of it is what it is thought to be, and says what became of it.
type Renewal struct {
	Key  string
	Data []byte // "" removes the value
	Age  time.Duration
	// Part is what the value has to have from byte First on.
	First int
	Part  string
	// Found and Err are set by Renew.
	Found Found
	Err   error
}

// Found is what a key had.
type Found uint8

const (
	// FoundNothing: the key had no value.
	FoundNothing Found = iota
	// FoundPart: the value had the part, and was replaced.
	FoundPart
	// FoundOther: the value was another, and stays.
	FoundOther
)

// Renew replaces the values, each in one step and all with one round trip, and sets Found and Err. Otherwise it is as Publish.
func (c *Client) Renew(ctx context.Context, batch []Renewal) {
	client, ctx, done, err := c.begin(ctx)
	if err != nil {
		for i := range batch {
			batch[i].Err = err
		}
		return
	}
	defer done()
	commands := make(rueidis.Commands, len(batch))
	for i, r := range batch {
		commands[i] = client.B().Arbitrary("EVAL").Args(renewScript, "1").Keys(r.Key).Args(strconv.Itoa(r.First), strconv.Itoa(r.First+len(r.Part)-1),
			r.Part, rueidis.BinaryString(r.Data), strconv.FormatInt(max(r.Age.Milliseconds(), 1), 10)).Build()
	}
	for i, result := range client.DoMulti(ctx, commands...) {
		found, err := result.AsInt64()
		batch[i].Found, batch[i].Err = Found(found), c.explain("renew a value", err)
	}
}
