#include "go_asm.h"
#include "textflag.h"

// See fork_amd64.s. The kernel keeps every register but X10.
TEXT ·clone(SB), NOSPLIT, $0-16
	MOV	f+0(FP), X18
	MOV	(fork_calls)(X18), X19
	MOV	(fork_calls+8)(X18), X20
	ADD	$fork_args, X18, X10
	MOV	$cloneArgs__size, X11
	MOV	$435, X17    // clone3
	ECALL
	BEQZ	X10, next
	MOV	X10, pid+8(FP)
	RET
next:
	MOV	(call_args)(X19), X10
	MOV	(call_args+8)(X19), X11
	MOV	(call_args+16)(X19), X12
	MOV	(call_args+24)(X19), X13
	MOV	(call_args+32)(X19), X14
	MOV	(call_number)(X19), X17
	ECALL
	MOV	$-4095, X5
	BLTU	X10, X5, succeeded
	MOV	(call_mayFail)(X19), X11
	BNEZ	X11, done
	NEG	X10, X10
	MOV	X10, (fork_errno)(X18)
	JMP	exit
succeeded:
	MOV	(call_result)(X19), X11
	BEQZ	X11, done
	MOV	X10, (X11)
done:
	ADD	$call__size, X19
	ADD	$-1, X20
	BNEZ	X20, next
exit:
	MOV	$0, X10
	MOV	$93, X17    // exit
	ECALL
	JMP	exit
