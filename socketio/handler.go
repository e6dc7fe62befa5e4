package socketio

import (
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	jsonx "github.com/go-json-experiment/json"

	"github.com/peal-dev/peal/message"
)

// Ack acknowledges an event from within or after its handler; see [Event.Ack]. A handler that takes one acknowledges
// only by calling it, or by returning an error.
type Ack func(args ...any) error

// handler is a handler as registered: a plan made once, by reflection, of how to call it.
type handler struct {
	event string
	call  EventHandler
}

var (
	contextType   = reflect.TypeFor[context.Context]()
	socketType    = reflect.TypeFor[*Socket]()
	ackType       = reflect.TypeFor[Ack]()
	errorType     = reflect.TypeFor[error]()
	jsonType      = reflect.TypeFor[json.Unmarshaler]()
	textType      = reflect.TypeFor[encoding.TextUnmarshaler]()
	marshalType   = reflect.TypeFor[json.Marshaler]()
	textOutType   = reflect.TypeFor[encoding.TextMarshaler]()
	signatureHint = "want func([context.Context], [*socketio.Socket], [arguments…], [socketio.Ack]) [results…] [error]"
)

// ofNode are the events that the Node.js server itself emits, with what there is for them here. People who register a
// handler of one by habit would wait for it in vain.
var ofNode = map[string]string{
	"connection":    "use OnConnect",
	"connect":       "use OnConnect",
	"disconnect":    "use OnDisconnect",
	"disconnecting": "use OnDisconnecting",
	"connect_error": "a client is refused with an error that a function of Use returns",
	"error":         "handlers return their errors, which are sent as the acknowledgement or logged",
	"new_namespace": "namespaces are made by Of",
}

// newHandler compiles fn, or panics.
func newHandler(event string, fn any) *handler {
	h, _ := compile(fmt.Sprintf("On(%q)", event), event, fn)
	return h
}

// compile makes a handler of fn, with its plan if it is called by reflection. It panics in the name of call.
func compile(call, event string, fn any) (*handler, *plan) {
	if hint := ofNode[event]; hint != "" {
		must(false, call, "this is an event of the Node.js server itself; "+hint)
	}
	must(!message.Reserved(event), call, "the name is reserved by the protocol")
	switch f := fn.(type) {
	case EventHandler:
		must(f != nil, call, "the handler is nil")
		return &handler{event: event, call: f}, nil
	case func(context.Context, *Event) error:
		must(f != nil, call, "the handler is nil")
		return &handler{event: event, call: f}, nil
	}
	v := reflect.ValueOf(fn)
	must(v.IsValid(), call, "the handler is nil; "+signatureHint)
	must(v.Kind() == reflect.Func, call, fmt.Sprintf("the handler is a %s, not a function; %s", v.Type(), signatureHint))
	must(!v.IsNil(), call, "the handler is nil")
	p, problem := newPlan(v)
	must(problem == "", call, fmt.Sprintf("cannot use %s: %s; %s", v.Type(), problem, signatureHint))
	return &handler{event: event, call: p.run}, p
}

// plan says how to call a function with the arguments of an event.
type plan struct {
	fn       reflect.Value
	params   int
	ctx      bool
	socket   int // the index of the *Socket parameter, or -1
	args     []reflect.Type
	variadic reflect.Type // the element type, or nil
	ack      int          // the index of the Ack parameter, or -1
	values   int          // results without the error
	err      bool         // the last result is an error
}

func newPlan(fn reflect.Value) (p *plan, problem string) {
	t := fn.Type()
	p = &plan{fn: fn, params: t.NumIn(), socket: -1, ack: -1}
	last := t.NumIn()
	if t.IsVariadic() {
		last--
		p.variadic = t.In(last).Elem()
		if problem := cannotDecode(p.variadic); problem != "" {
			return nil, fmt.Sprintf("the variadic parameter %s", problem)
		}
	}
	if last > 0 && t.In(last-1) == ackType {
		last--
		p.ack = last
	}
	for i := range last {
		in := t.In(i)
		switch {
		case in == contextType && i == 0:
			p.ctx = true
		case in == contextType:
			return nil, "a context.Context can only be the first parameter"
		case in == socketType && (i == 0 || i == 1 && p.ctx):
			p.socket = i
		case in == socketType:
			return nil, "the *socketio.Socket stands before the arguments, behind the context"
		case in == ackType:
			return nil, "the socketio.Ack is the last parameter, or stands right before the variadic one"
		default:
			if problem := cannotDecode(in); problem != "" {
				return nil, fmt.Sprintf("parameter %d %s", i, problem)
			}
			p.args = append(p.args, in)
		}
	}
	return p, p.results(t)
}

func (p *plan) results(t reflect.Type) (problem string) {
	for i := range t.NumOut() {
		out := t.Out(i)
		if out == errorType {
			if i != t.NumOut()-1 {
				return "an error can only be the last result"
			}
			p.err = true
			continue
		}
		if problem := cannotEncode(out); problem != "" {
			return fmt.Sprintf("result %d %s", i, problem)
		}
		p.values++
	}
	if p.ack >= 0 && p.values > 0 {
		return "with a socketio.Ack there are no results but an error: it would be acknowledged twice"
	}
	return ""
}

// cannotDecode says why no argument can become a t, as far as t alone tells; "" if it can.
func cannotDecode(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(jsonType) || reflect.PointerTo(t).Implements(textType) {
		return ""
	}
	switch t.Kind() {
	case reflect.Func:
		if t == reflect.TypeFor[func(...any) error]() || t == reflect.TypeFor[func(...any)]() {
			return fmt.Sprintf("is a %s: for the acknowledgement use socketio.Ack", t)
		}
		return fmt.Sprintf("is a %s, which no JSON becomes", t)
	case reflect.Chan, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Sprintf("is a %s, which no JSON becomes", t)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Sprintf("is the interface %s, which JSON cannot be decoded into", t)
		}
	case reflect.Struct:
		if t == socketType.Elem() {
			return "is a socketio.Socket: use *socketio.Socket"
		}
	}
	return ""
}

func cannotEncode(t reflect.Type) string {
	if t.Implements(marshalType) || t.Implements(textOutType) {
		return ""
	}
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Sprintf("is a %s, which JSON cannot express", t)
	}
	return ""
}

// run calls the function for an event.
func (p *plan) run(ctx context.Context, ev *Event) error {
	in := make([]reflect.Value, 0, p.params+len(ev.args))
	if p.ctx {
		in = append(in, reflect.ValueOf(ctx))
	}
	if p.socket >= 0 {
		in = append(in, reflect.ValueOf(ev.Socket))
	}
	for i, t := range p.args {
		v := reflect.New(t)
		if err := ev.Arg(i, v.Interface()); err != nil {
			return err
		}
		in = append(in, v.Elem())
	}
	if p.ack >= 0 {
		in = append(in, reflect.ValueOf(ev.AckLater()))
	}
	if p.variadic != nil {
		for i := len(p.args); i < len(ev.args); i++ {
			v := reflect.New(p.variadic)
			if err := ev.Arg(i, v.Interface()); err != nil {
				return err
			}
			in = append(in, v.Elem())
		}
	}
	return p.reply(ev, p.fn.Call(in))
}

func (p *plan) reply(ev *Event, out []reflect.Value) error {
	if p.err {
		if err, _ := out[p.values].Interface().(error); err != nil {
			return err
		}
	}
	if p.values == 0 || !ev.WantsAck() {
		return nil
	}
	results := make([]any, p.values)
	for i := range results {
		results[i] = out[i].Interface()
	}
	return ignoreGone(ev.Ack(results...))
}

// badArgument says what does not fit, and where, in words that are for the client too: those of the type itself, if its
// UnmarshalJSON or UnmarshalText returned an [*Error].
func badArgument(at string, v any, cause error) error {
	t := reflect.TypeOf(v).Elem()
	if deep := (*jsonx.SemanticError)(nil); errors.As(cause, &deep) && deep.JSONPointer != "" && deep.GoType != nil {
		t, at = deep.GoType, at+" at "+string(deep.JSONPointer)
	}
	shown := Error{Code: CodeBadArgument, Message: "expected " + expected(t)}
	if own := (*Error)(nil); errors.As(cause, &own) {
		shown = *own
	}
	shown.Message = at + ": " + shown.Message
	return &argumentError{shown, cause}
}

// argumentError shows the client what was expected, and the log why it did not fit.
type argumentError struct {
	shown Error
	cause error
}

func (e *argumentError) Error() string { return e.shown.Error() + ": " + e.cause.Error() }

// As lets errors.As find the *Error.
func (e *argumentError) As(target any) bool {
	if t, ok := target.(**Error); ok {
		*t = &e.shown
		return true
	}
	return false
}

func (e *argumentError) Unwrap() error { return e.cause }

// expected names t in words that mean something to a client in any language: types of the program are not among them.
func expected(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch p := reflect.PointerTo(t); {
	case p.Implements(textType):
		return "a string of another form"
	case p.Implements(jsonType):
		return "a value of another form"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "a boolean"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer of at least 0"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return "binary data"
		}
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a value of another form"
}
