package container

import "testing"

// The lines have the form of CRIU's log.
func TestLastErrors(t *testing.T) {
	const probe = "(00.002016) Error (criu/tun.c:85): tun: Unable to create tun: No such file or directory\n"
	for log, want := range map[string]string{
		probe + "(00.010000) Warn  (criu/net.c:1): nothing\n": "",
		probe + "(01.336316)      1: Error (criu/files-reg.c:2093): File fd/1 has bad size 6 (expect 183)\n" +
			"(01.340000) Error (criu/util.c:631): exited, status=1\n" +
			"(01.350000) Error (criu/cr-restore.c:2536): Restoring FAILED.\n": "File fd/1 has bad size 6 (expect 183)",
		"Error (criu/a.c:1): one\nError (criu/a.c:2): two\nError (criu/a.c:3): three\n": "two; three",
	} {
		if got := lastErrors(log); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
