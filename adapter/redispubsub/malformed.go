package redispubsub

import (
	"context"
	"errors"
	"log/slog"

	"github.com/peal-dev/peal/adapter/internal/jsonpack"
	"github.com/peal-dev/peal/message"
)

// ignored counts a message that is not what it should be, and says so.
func (d *Driver) ignored(channel string, err error) {
	reason := malformation(err)
	d.malformed.Add(reason)
	d.often.Log(context.Background(), slog.LevelWarn, "malformed: "+reason, "redispubsub: a message from Redis was ignored",
		slog.String("reason", reason), slog.String("channel", channel), slog.Any("error", err))
}

// malformation names the reason for which a message was ignored: one of the kinds of [message.Error] for an event that
// clients would not take, "encoding" for what is no MessagePack or has no form in JSON, "form" for the rest.
func malformation(err error) string {
	var event *message.Error
	switch {
	case errors.As(err, &event):
		return event.Kind.String()
	case errors.Is(err, jsonpack.ErrSyntax), errors.Is(err, jsonpack.ErrDepth), errors.Is(err, jsonpack.ErrType):
		return "encoding"
	}
	return "form"
}
