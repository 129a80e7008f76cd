#include "go_asm.h"
#include "textflag.h"

// See fork_amd64.s. The kernel keeps every register but R0.
TEXT ·clone(SB), NOSPLIT, $0-16
	MOVD	f+0(FP), R19
	MOVD	(fork_calls)(R19), R20
	MOVD	(fork_calls+8)(R19), R21
	ADD	$fork_args, R19, R0
	MOVD	$cloneArgs__size, R1
	MOVD	$435, R8    // clone3
	SVC
	CBZ	R0, next
	MOVD	R0, pid+8(FP)
	RET
next:
	MOVD	(call_args)(R20), R0
	MOVD	(call_args+8)(R20), R1
	MOVD	(call_args+16)(R20), R2
	MOVD	(call_args+24)(R20), R3
	MOVD	(call_args+32)(R20), R4
	MOVD	(call_number)(R20), R8
	SVC
	CMN	$4095, R0
	BLO	succeeded
	MOVD	(call_mayFail)(R20), R1
	CBNZ	R1, done
	NEG	R0, R0
	MOVD	R0, (fork_errno)(R19)
	B	exit
succeeded:
	MOVD	(call_result)(R20), R1
	CBZ	R1, done
	MOVD	R0, (R1)
done:
	ADD	$call__size, R20
	SUB	$1, R21
	CBNZ	R21, next
exit:
	MOVD	$0, R0
	MOVD	$93, R8    // exit
	SVC
	B	exit
