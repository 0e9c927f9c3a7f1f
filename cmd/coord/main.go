// Command coord lets shells and people take part in blocking coordination: wait for a signal, send one and learn that it
// arrived, and see what stands in the store.
//
//	coord demo                                              the whole story, with no server and no secret
//	coord run  --id coord-b --timeout 600s                  block until a signal comes
//	coord send --from coord-a --to coord-b --type wake      send one and block until it is acknowledged
//	coord wait --id b --name W --slice 60s                  block until a signal comes, in slices
//	coord gather --id po --round R --to v1,v2 --slice 60s   ask several, and collect the answers in slices
//	coord serve --id v1 --exec CMD                          answer with what a command prints
//	coord waits                                             who waits for whom, since when
//	coord monitor                                           tell who is dead, and hand their work over
//	coord run  --id coord-b --work --exec CMD               run a command for each unit of work
//	coord work [add|ls|show]                                put work there, and see what became of it
//	coord ls [coordinators|signals]                         who beats, what waits
//	coord inspect KEY                                       one record, decoded, its signature checked
//	coord gc [--dry-run]                                    remove what nobody can need
//	coord doctor                                            is the store fit for it
//
// Every flag can be given as COORD_<FLAG> in the environment. The secret comes from BLOCKING_COORDINATION_SECRET or from
// --secret-file, never from the command line. Results go to stdout, everything else to stderr.
//
// Exit codes: 0 ok, 1 error, 2 usage, 69 the store never answered, 75 still waiting, 124 timeout, 130 and 143 ended by
// SIGINT and SIGTERM.
package main

import (
	"context"
	"io"
	"os"
	"reflect"
	"time"

	"github.com/alecthomas/kong"
)

const about = "Blocking coordination: signed signals between processes that wait for one another.\n\n" +
	"The secret comes from BLOCKING_COORDINATION_SECRET or --secret-file; every flag also from COORD_<FLAG>. " +
	"Exit codes: 0 ok, 1 error, 2 usage, 69 store never answered, 75 still waiting, 124 timeout, 130 SIGINT, 143 SIGTERM."

type cli struct {
	globals

	Demo    demoCmd    `cmd:"" help:"Show the whole story in memory: no server, no secret."`
	Run     runCmd     `cmd:"" help:"Join, beat, and block until a signal comes."`
	Send    sendCmd    `cmd:"" help:"Send a signal and block until it is acknowledged."`
	Wait    waitCmd    `cmd:"" help:"Block until a signal comes, in slices where the shell cannot block for long."`
	Waits   waitsCmd   `cmd:"" help:"List who waits for whom, since when, and who is stuck."`
	Gather  gatherCmd  `cmd:"" help:"Ask several the same question, and block until they have answered."`
	Serve   serveCmd   `cmd:"" help:"Answer signals with what a command prints."`
	Monitor monitorCmd `cmd:"" help:"Watch: warn about the silent, declare them dead, hand their work over."`
	Work    workCmd    `cmd:"" help:"Units of work: put them there, and see what became of them."`
	Ls      lsCmd      `cmd:"" help:"List coordinators by their heartbeats, or the signals in mailboxes."`
	Inspect inspectCmd `cmd:"" help:"Show one record of the store, decoded, with its signature checked."`
	Gc      gcCmd      `cmd:"" help:"Remove what nobody can need."`
	Doctor  doctorCmd  `cmd:"" help:"Check whether the store and the secret are fit for coordination."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// app is what a command's Run gets.
type app struct {
	globals
	streams
	raw streams         // the same, unbuffered: for the commands that are run
	ctx context.Context // ends with the signal that asks us to stop
}

func main() {
	os.Exit(execute(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

func execute(args []string, std streams) (code int) {
	var c cli
	ctx, stop := untilStopped(context.Background())
	defer stop()
	a := &app{ctx: ctx}
	defer a.print(std)()
	command, err := newParser(&c, std).Parse(args)
	a.globals = c.globals
	if err != nil {
		return a.fail(usage(err))
	}
	return a.fail(command.Run(a))
}

func newParser(c *cli, std streams) *kong.Kong {
	return kong.Must(c,
		kong.Name("coord"),
		kong.Description(about),
		kong.Writers(std.out, std.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.DefaultEnvars("COORD"),
		kong.Vars{"default_store": defaultStore},
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(decodeDuration)),
	)
}
