package socketio

import "github.com/peal-dev/peal/engineio"

// Reason says why a socket was disconnected. The texts are those of the reference implementation.
type Reason string

// The reasons of [Namespace.OnDisconnect].
const (
	// ReasonClientDisconnect: the client left the namespace.
	ReasonClientDisconnect Reason = "client namespace disconnect"
	// ReasonServerDisconnect: [Socket.Disconnect] or [Broadcast.Disconnect].
	ReasonServerDisconnect Reason = "server namespace disconnect"
	// ReasonTransportClose: the client closed the connection.
	ReasonTransportClose = Reason(engineio.TransportClose)
	// ReasonTransportError: the connection broke.
	ReasonTransportError = Reason(engineio.TransportError)
	// ReasonPingTimeout: the client did not answer a heartbeat in time.
	ReasonPingTimeout = Reason(engineio.PingTimeout)
	// ReasonForcedClose: the server closed the connection, for instance after a violation of the protocol.
	ReasonForcedClose = Reason(engineio.ForcedClose)
	// ReasonParseError: the client sent something that is no Engine.IO packet.
	ReasonParseError = Reason(engineio.ParseError)
	// ReasonServerShutdown: [Server.Shutdown].
	ReasonServerShutdown = Reason(engineio.ServerShutdown)
	// ReasonMoved: [Server.Shed].
	ReasonMoved = Reason(engineio.Moved)
)
