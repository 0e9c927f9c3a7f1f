// Package mailboxtest is the world in which the promises of signals, S1 to S7, are held: senders and lives of a receiver
// around the procedures of package mailbox, on any store, and what is known of them from outside.
package mailboxtest
