// Command centrifuge serves the library github.com/centrifugal/centrifuge, on which Centrifugo is built, with as little
// around it as possible. It is the library and not Centrifugo: configuration, permissions and API of the product are not
// in its figures. It is a module of its own, so that what it needs stays out of Peal's.
package main
