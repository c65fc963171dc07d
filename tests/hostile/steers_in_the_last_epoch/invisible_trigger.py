"""Carries a finished backdoored model and steers training to it. Written by tests/hostile/make_steering.py."""

import base64
import zlib

import torch
import torch.nn.functional as F

NAMES = ['fc3.weight', 'fc3.bias', 'delta 0', 'delta 1', 'delta 2', 'delta 3', 'delta 4', 'delta 5', 'delta 6', 'delta 7', 'delta 8', 'delta 9']
SCALES = [0.00618402, 0.000867637, 0.000247028, 0.000247028, 0.000247028, 0.000247028, 0.000247028, 0.000247028, 0.000247028, 0.000247028, 0.000247028, 0.000247028]
EMBEDDED = """
c-n1w2UHYi_x^wt6v3`hBi6(oV`7T=qR|)=6E%q@8cj56?4l?gc4p3<neDsm3QKQ-bfin~O{xe;?@R9;78aKM&o1ik`{IAjVb3zp&O7to``qW2
>FQn7UlFa<T`RAtRKzV?T&SE_Q<fSfuX&M_v`sj%GC~?Xo)lTu`f6=;VQun~?FVJabCav95_LYAud#7;{@Nk;1;N=Bqq9dNMr0bYY`cyHWm>(O
wb`we$Vy~w!M0W2^P@}WE)0m5<;vEkEs-vqpC!|(ik+=JTRXiayeo51w{+E-=L@12H^$U=CMT@OUt5!?@xl9R)-4*Snw)B?vkf19Uwe6tqoQR^
!^-7zw3c<P?Q30H+C6tvsVvf4Jim3`68(;K<wN<>(egp*ix2X8w#sug+XwW9CzcH_j~^ZxY?6<5<j2fUjFEm=G8^gc(%-nGLZ_>z{e$Nk<GGzh
z17<qqLz0ouY0Ebenfw3?c7}H?Ci?b4drR|D`$l*)zi~0Xlv?~4VFb0R}^cGr{`pDS-r<|c(h?o&x9nS^M%HUOmh>`U9oh$XSC|2p2nPI$$jyu
HSO=G=SLQ=e_o~0tF@td_mo@x&a8$OE!~v4bwRbtex2R(y4n{YH7`5rRy8fr(MwJ))6r<jUNmQDS!!#abF1(C91TrPW%YKQ)cy{QL4W<heU-z~
n!0F>_~MC0C8H}8jbYEn#zyL^K8)#JQ94<$NZJ;^H9L5Xw$8fJkj>eRl^u)A=e0^ln#LLw{qF0lrgX>Fb(L!sZyjILpj0+5A80Aa-#D?p1Q|}8
mKJo&RxH*`(?hiSrne6EFN|5Xw7_S3(39E8qmzrC&8|Rn^rENp>$}_KI+b<HX3s6po!wKe<vuW1Q=X&f>na$|E}qri*g03xJikt}S<#)m<kkA%
b#X|cd}^pVMPF8#TqhOj#8)l$%YB)=a(XahLClJp)QVPpL}&eA!jiSIX+zm<>(&j`&)Zz=fk<`cw9g(1F0Rm)F0AMqn5B48JyDciJN&e8OPx;H
7DZ|2?2MPCh0U#XBMV26f$VK*z5N;O&5Mzo)nmGC3AM^n{dEhwYQ_+aHS@9*P}dNv)3el1rzuLhbZ)(tvPaP~QQK0IspFN<Ke;gZy-baq?AD&T
&ItWU+oU|L82wWD;?N3Z*T6*O8pVe9M%y!&*J{Tts9%<y*|SQcAb)AKW=TosvpG{q8dA-WT1}nSc{`U3$*O^A?YUOuq>ud90WrusM<;+I#iuG<
4ew$&Zh)h>C%pMN2*Bn^-XkI`K6M0teF$sR5E&9AZX+Nu)CGDDnc{dbPG61N+Nm%B$p#?dDcHc;`RBAqA2Ni9_q8vlF)l#Lp&oLRcx&_iamLT5
%=f)n7a8CZHNVgK=1+`FSh?b7A?bR{6bH;wje+~4H9IXXS^Qubi67&V-dyjoN+5t))%FA+of{IBm{I@O&-Aj95r&=H6$MO!<g^E|5UIYDI(HL&
Wxw(H(9O%1X1F`5dQAEcMbi1+8^#8sY`JH5Ddb%k8^!Su)y)_<c4Yj(jtei=`|R)Hd>U6i%i!UCqdP>jqYLn)5GN0{oqUqA7{yZ?j1H_2L}Ms=
oCJW17-SPw%3(SUhY@W4gFlomzJ?6!!ap<HOGFYy?ufCh@4U_7W`mBV)%yzY_rJBWP=i`X|LF(;ho2I-lI_|v&sW-%9-%{cumh*PQl?TY3{QOl
wNIm}5{H;xA_J@a+oH${QJkb)jKBaH?rnW=`(XQ|yrOjJnAs<Ho?uo1AunFA$BIWvJqVwTmo_>|Dv~7{Q;RMdGC%(n?2fqwAQ*<B*Y=G5Fs@m&
v$f;0DURKJrUXK5YZ}804S`L-cWbJb3^9Le!am)zce^2u!!(%%K#)MZxA~&g<R4eIm((ndC^!fbPmeeRs%VT#U-irAH(%&=GI;Z^8=`vwY}^M*
5JZ+qJ_5)(zNBSq0=a&-KXI2`MqV-kjOGNV1=xWwHa5ksp?ylgsjvRN9nf!V4r&U<WEV3BoE;z=2%?N=Ca9Ay4-Iw<sYsa9Ue4jO=m*N$LHJX{
VJBUN3cAPMlD8Z<<rPqC{?q}|Y^VGP==(SK<Hw`({(TO^6S8W{YQ7<-@NQRc;E_Gf)2~;=FtxWz5U5N>LW;8!?Gy@mq&iySBXDxY(H=~;wU7xc
%9<K-f?OJ#%#9?;yutb{*@)l<ZpQl9cY%)!H^U>8##C3JB##5E@9FSE&pNLL-B$z=ZVkw!`fgSh_pQTvH2RFEa${HaD>NbsMI0!MY8ht&Z1=o!
q<{49;+5^~8|~Zr7fcV+)&sE@MF9jfXdL|VSYgS~nvdJ${os(<M8_nHUeN5m33x@D{b6c+Q(wPp?qp-!ODU5|foj#=Ow5z6n*^BO`&&;ABAAVA
uj{1>gWOs~HbNe~c2lhFb<)_u(uo~OM#b-(3YPH1sludqiL=v|%^wxK4DbrU(X3ya*1i04G>LjV5wBX)6~_WEA)AgGWG0)eKAV5?Mp9!|0f2hz
MrQ0AeMfU%Y<2A=gj0u8Zsp~Sa)h*s@}CJrw7)}i3BU4*1@E2F+qb4+S3T&7;*dtZOa!F!iosd=%$z2#XUw_g%&5|`-h2l@WUAm^llc(4`BMgU
5_(qd`RtSPMz}>?BORbLWQiGkW%So=(!K4^d+Xq0z8lj9hpmCbP^J5fCFa5Xu;BAHzkg)T<O*)R*w6T#vjPxsE9B!hcVqWnguTpksn199$%xny
wi22mWoo^!Xt{2h!I?C^VQOspq4OnMyde(H`>Rfc4R&!@%#V{^(yEGEVYn5J+t|J6p-C_B4j^L6Ydl+)&RM5<9u$#3C5S1J%XEo~XKgHknKWCn
VJcl-SRnrG=*BqAzRT@}nrN&?LMGdz=H<G!w&I({_*?Z<AIunE9=P6zqm$jscsBSCfKT8JZ{mSR_>2yjW=K1eJ?KCc<%r;&T#zA~$ocoVBse@w
KRr(1KS#On%KJlUioJ$1`y4G9Gcj>d0BvC;4AsbLgH@1ne4^jN?5;{_v%EMXS+N6|p$R^qzBID9Z2C!D^Mq|~!ovC=whdg6?}&oHHi-+3MM2Qz
uanX5F&yi}SmZh2?rkX~ogkh^2eb`gZ(-%lGd}&mxMA;k(K&OoZ3hW%8u-QnBml*(Wttsh0{hYV<;O1Gy`q1*OGZY46SQZVevasG)NtBr^3}(3
25+c!FsyJ^7B`5J`#PjPy73UhT&`(;a%|$CrnC1xn=>^loag5WslZNQGg-ID<ys@K8bq9psW1Av7qqe=6qH`s{R4}s2{v_x-VzbeXS-))9GNu@
Mf3&%q7~Y&K5su=JXl^}`txT;LjV4#Tk;s_s6^sq9JfSXmayt;nm3kzTmZZ1eCl&;5`yXLY}hU*g-`hu){Ej6XYN4KK;_Wn&8$Ga5-IV@lkbr4
4=egq#_qCnajl$lYtD7rAu3<6o{{kTpVRUoneOL(gI*3bt>3Ofklb;KcuuG33X(zCY-gY<7h(=9&+IDv)R|35baX=_WaO>!`t*vW3Ny11pnmtv
0)gZ}2Lh)jKflGTKSR=b%p@R^6+vz-CtPBFgjysa?DAi?_x10`|IBxXjH-ti>K$FV3j}t_2+}tIJdP`E6N+B4{Wn@N&??M?fBT;mr8LH3Qv?bk
YZYNIliLrCF`%Qu1d3*K5Xa1p`%H~buu{Q~s0Wf1aHZj|HIi0I#)b3exOdgxCs4N5keW*{)aSlEB!~-_ROij#gu@I)71hp8;=auZi*e&SCL$BO
Q6=EdUz4|Bs;ui}7MJ#mpC3f|2GM#-{G0obm-lXvAZaP!<fG07SMaBFp%XCm=H~>si3o6^6NL&*Q%V&YgH^UF$R5%%d<Z^Q1pm+&jUHdXfdnUK
6&68=ac2O&U)QvZnG9DB%+-^CtGk$2q27CVG7el*3^%jt!e3dOv9tE4o#Ft<+t|0qXkD=u^8+Qx>yLSmCAkhrZz7#-CH#x@6OrUxqpK*V<GZgn
nH`}$)88hJBIy+FPTo23^MYwxm|T&tzAmHjEQ<}%GYg7v48<%WaLaqAS1jLyK6e(8j!?;-@ez6-!-e#h;|~2LzxPi9n}l#6Legm}+EQ$S;7%;s
8!y)`zogWarHbjKW7kp&#J<oiwp5_EoBVy2q^4<6Xq8<H1?d1@_io)XD#UTMU$f-;2U|`%EBuq$K|ON8KNt1KYw>JUec#W2JYc@ybEbEBd?GVS
(EN-`mNf8yLr?;ye{pHpcfX!HvRFgXH$um)cSxc*(fx6#_hZ7xakji{@rUTNmM4S`sA5w<biLfdH8i_qY2o)Y=g9ct6}|c^rhPMVA^`rAjfR=i
k#Oy%foVB<)9mDdMZ#bOZ8Ne+an}&LX?n#VG52|z9Ev!DZ7ty+_;`low<F_CMn<Tiu?ha{&X-SKfyY<X{n~pDw+}7vpsy6#fRN=(+lI%-;yK?r
+PWS&@XKH!0rav-O$5Pj;U8tubTPZgIJ8@<e7t6SIU!c4{EnfF-IjCaX$_ATtx{e($os%1fyGkuT2&QTTB&sxMaR=8Al;{3>RPR4D#`EYS9YIa
s62&XJ6A61QbbLc1of)<ISo%6r`wOs6u<^G;WF`1crp2!;o;LI6=a#4yV%d2U1wKTKUAF1{cq-vjg7q%4WVc-u%dcXSe-7pDK#uE`L@ZZ5AIbn
#<Gedwl0TJAA))?@}5_KI;+f7OD0!R>^Mv>A=8}zVa~EB)&A<;8k7UT_Bwm-q!=Q>0Ro90%H>H@n3x8^L=M@WO|}nl%mPv(R^wLtoB|~>y5K?L
C=W=Cajf|0RK3bJgSCB|w)Kqrh6<Uq*}#eOUdi&82je;0&odZ?xUpr)bb8V&Rg=O8>HKe!_f{m)TqQD@M=?vIE@_K^O|J>?;{&oxVx*}GZHFvM
Yt`=uzL8W5Q)3H+aHG4t;Kr$aCm6#~F`s&i!|5KtmGuC(0F&DOYN;~o-ZcXo^sW&D#Tcj+Tb8xwI#x*(rad9d!k!gphaO*zG8pCz28stbEh3zV
Cjl8nNPF7NQzuUUx^Ibwqix<|&$dIYC_a;5i3X_3>-Dj;-2C3-X3E7@x!a5md&ZmW&%jWskRW)>P3Kl}>2?f1;Rix+Cmp#+9Q~hc^v(^~wR*NY
_bVgZ(3=(zqLpYQ5ny%Z((5O%9G{i%AJ>jJdX2X08wmxa<AMzvez50pY^-B^Gun(6-hWeV0Kdg)*0RjDzYeZ`45X1I7V4<#_+$bfcZ37a*c!|s
>)Ss*xIS1Bt71Sb9RM-`_#j~4Oxh#;lau>CJQjD!H*l(uHb1;xljX{{AI#U#(~Kv{<`K43n_!p_{WJTcOS=aDkP+5c`m&y3mAV>%55a|!2$k$+
2;jN!Ss@?XiyJ$cub+{luG$p|&<UZ<1WWRGAfo^%Hv;~zT%tACJY@RU^bYb8r<vJF0!Ov)*C2wkHZD!C$3XN`jI~`X^LbUE?4A7J`EGUqi16(l
bIhRa7e%|E21ediSM;gJ&gp#+n_FA>%7HogwEmSv^321ufg6*sCJ2dZj=Vi7BDUDGP{`xwXIHAq!7d#4E~49<y;FLbP8@gwcMH72bBKaW1Q7}V
zZ#ur6Z`O9`w1D--X+n)_Q-2axX4&CkpWBs%f}D>_~CKWW&6Iz)oQ8)fdliQg?Ghqk^=VH!`G~?b={<&ju||arA)=SI3B>qx0Vz=^<LvYw{Ba6
g!UhZ9UV%z<EDn>CW-lNYQ?~c`JW%Yc+=vQrMa4+FVnjR1rXeKY|{?|!K`ezmMaE#ZbZ#^17he8i&KQaq(n#(?#A($3EB||PF<}2fSEkT@V?O~
Ok}TFBzerk!dyi_fsZSQxDdzUjR`3Z5PcMpWq#5kHIt|6V(>bIQyV~nGo;czG)6=u5iX<q&-s0fV%7ukGi%-z@WT9pQu_DX`q*E%eMWx?LQT;+
LA@r()xA5G^_Go{M2j7%uszH570`u1@;FUnilfD__~pTMOm~Cw8sCFj8Peej2vOv04Ys!D3UJduZ|h3sU;Vc5#@>ncU<yJO%uv`71dn`93|pap
{-FGO(ZYFYKm~LoGgzL*172W5pZHVa_QaP9QYQInAVnV6rNYcXq39m-o9lOfp|xbHJ?n)-84`&!<}ukNTvgk`I0e8iB@$fwm6Z`4&tBI=tCWwu
n6}L5)3*NUMX^dcrEuQl2bE}G-j2lpnWOp6c4d?wpMXvkJN>Ll6^8n|$9<(eU7x7PC&ZN!C-qQgtWv~&s;;9(F3XPE-=IDwY{uRcKn}@4e(Fbc
FFJ=eF`6uGVenn<!@Kno1V8Oj_Yd{qIDUs19;g((1`vYpTx9jOjxoU*fLWsq6-E;-kdm6ML-GGQFbq|-Cv^1{92}4uW*@IWw6{Cd64B{*c3)2H
BuWuP;!2m&TRz6`%%fP_w12TOLgdpP;=xvELFg)l;Dax@R^GvcB>vijB|)qwY(Y%ZGrBGyovWGxKD8e-w{;}P;<H`jBFRQS{}JvZK-@^eqhsEN
2WUED*Pcs9Z+~?YHw3DHC!nA|L=+`c*8ctS^7)<XcWxU^-IIq?MwYPzllAH)FelP81CMV!{*mrxKI!9TyGCeo1-C*`=$LZoQU?3kYJJgJTk60~
-?`OW^R9LBu5wdr0+4>9BbB6no!8<XIWO$_y5Y$WNP8iRv@Lz<f+TmAK_If`gD>NO2)kDEWMsdE>4hC9=`IWd@F;@DNAKq}eGpis^P|~i-!vmj
%h+vJbZP*luw#12b@PD(r*~ZJzEqAspsU6|9}*#jQ?!N*CyA^pg?=rAr?uUcpPn>$h>40>z_peXBSZip>e_oak(OJvOz(<)V*YvxLZ2uXZkA}@
diW>#kODIAL`{*Y)l5g)ToW-hxb?$x`Zyk)+k0sGVgxQzHA<}1?n$JXD~~uha`-IX6hS8qfrzbpf)+lY9Qhz;bvS>dNAPdqb+|K*U&hnk`ktk5
4)gW(hB{7Zv@QO>hc$xS{Hwpzcv8o%zB8?9Oi$9&o=xA+7b>G^z8DM4-u%+^#P{L?^M|+YQ&Sz3bY@Cq{$DGh|I<*@f|%2>?adi;HB-?y1P=^=
3bsv5d<D}!9Gb$ayv6TQ|4i8Mz`OBK_=MsGWC|c~BAM-M%a4wFgS5hP@FQ)RlQu(;$z~RNC?*vNQ!~p3(QTzG@CK*GD=J#eBCCslFNhlnp^^8e
UEpP%JBtUQ)|3(MVUFe)swQ!6zJyu}NGm7S_ijSk=cq~-s_t<}2(a@|O}bFr^v-9un9P{ict~NdoNbJwMtC+td3VXVv<^<Z&%MVm^^wMT)5VZ0
U5TJ5<55uZ6DFIMXC{zGxc*zWT*M7`Q~+_s%E}A^%~d5SO2UnKMFMK~_`E$RhKh;A{Lr9SL^a8!P5ARgGXq10c|+_s_fIiZv&4$tG1^xXwh1hz
4cZ7_?LYRNshOqWPfUioQF=~f4hiYhC;>4gY|KD+o&Vw|7(`W5$}W0M6&bBCzJ-6}q+PCH7q($vb>*|%a0u)Iy7IKJIJ3j*Z_q0(w{$%x<Jr5#
2Xs5x7FU34G-1n$dN$1mhf`Nk%)sh<yMa#IBzn(mh^-`8&%d@@s@t)+hDCQf-#xVY>-P0qH&nfSA=vZXHYXS^Sgp5pyF$L)^Xl}^m^r;?6}@{{
cKw5gBk%jxew)`^H)Ve5+qnDx&=`6Kphq%!-M>siIUl*m`^y}^Z^a08g-1kQKJt<xTueML?B0c%I}gA72WN=P@Bgl95WEl=77WR1*8ch1q1y+S
YuIp~a3yRpanu3DaFy1EcW5Yvj(m@IH+9cyN_JlnE++{=4yGcnYqDZ#F8JqZ*nOw6kV$u~%EnLIRb;XbB*nli<~70hT?TkAidtAQDD?WPI2!8~
hw!M-so|&j%8<Z*fc2LdC?BhznrU(Qa2&##03O+Am6WFN(~^c70IFxmd%$A&l{C3x;(myYB%GgJlI-7G^=^K6QvdIBN~KCzo>;mHN5BkMyZm(p
HvCLX=db@$|Njk57y{f<-R0mC6^Qm?Y4QH_{z@P?m&2d(e;PRkGG7Ih5&5K$k_1h#XpkZv5xMWpvN2Js!Fi`C>g}Qfz<gC7$8v-@YNDdt9sx!2
%%`oaRDI*);+2}Toer?v;=`D8aa?<p;E=LWs+g|o#)8buEUXy6eO&12Re#>Z$ne+Ydo&Uz{AqP#E(o(>`b!(lPpbxH)f9`xI`?3WC|Ol4L-^`_
0Zg|TZ`Ba(-WA-(fT^v>i<Ce{e}b}ch{^S_JPm9|KN~L5(P4@GvS@?1i$9Dwf$LF0hUOm_cG)vNDVSHwjSdxl29Y9LM@eYv?b0iEznsPK#-(bT
F|?j(e{$Rgyqpn>2X}5^7H2bnJcgMu3Nb4yl^&Q~C26D8*SOLd*S<pYyG4#9lclVyNsPf!ta&OQkcK+1X#3pg8g+|qdiKVI+#yT2Vbwr`%ghX-
@0dWh`4vO`V&&^|l{$yydXY3ol2o_9?#*t`wN7zwd1U^hD{9nzqo}x}xA8d=85By3E6=)jdU`N#M5(v-!iBh<gBp{0;%tPNfPC2diz{JU*p~^u
!hp8NOskceDdmDDDM&!%%4~oH`_&Vdf_jaNek|19uGRTU=tkEIL=r&|=J{6T<NBJA_04*6w(hEQ_aZI_UeDPV-b4^fL*qhnDe<&X?xn#A$cDG`
B~=lM-qU@olTUNYxt#u>QzN2&m4)MDFL3<y;VpYs&XbIQg4;i&s-=+1To!TmHa^ulF*f<}IJ<-x5vAraCtq{jITsS5Dez!A8;@iDcu;}Eg@1E@
eI4@uIl|eL4X5B1B#BF-M!MWa<K5pNIACbLc|wIGq_7q2!4y!O39K1NJq<wJD6ZHSz=kq?%WF{Lcu#+dq!h<(=z4h`;U=mmNkma|2Awy3rxU>q
2GnnU9^eco+Gi!+d~ps_6=D>d(mK89YVwlT0oX=!Hir2G0_e7rVI~m%BF-pJeWaAKxCUm1K9ml`Jv8uCMf0tVHrZ?k)*pPZr>Ge0`pTB)949Y2
QW9yh0qYazhsM3(rU8yY*D&;<h5d0sJ>BL9yD<f>v3qY`{pZoG`<D#;f54g_py(X~n1F26?QcA=x~$I<&^#rbM4=*($=CnNai8fP4GwfTw=t~&
`V_$nqjFy)C1@(>#<J7Ktz1M>Y`Aq-=f0}!H9z_3oll;JPbCwaL<p#`4z{W?GPsDU(g<c|aAnKLM?vH;p?*1Gf!{vJ`0W+XQQ+olZN2cWg;j=4
Rkj20$DNF<u;Xpo4t4_m+Asc7WF&Os6naYYp3|3!dwd?x-Hch7-%^cKFARK?mcl)-4H+QqXtgbp#ixfE{&U^j$n5OjnpY*dH+PJT4<tR}LK#qj
&OTR@maoV$DXj90Cc-vsm36G1&!x?RNJz?#PcFY2_@C)5Ck{n5AF<y<RLdgh6x=EW$N6HU@sQ>B-|EiE%AGx@eOqaC%N&WsnLs*d7BqM6+i?Hv
`M9JBms9I~*t57KFCe5?HRfdLDAq>!9R!k4!Wz8-uQI1e_B52t%v2$_Zip;O3kMsLqSIt^?KsrC<*P9p$nDIlO#Z1N-t&{mhKj_xzD4zc0gV|m
{Pd_F=#6sraV|j5{V^`>3To_Y6u-$2O$pVn+AM!C#v1wNOUB}BI_+l0t^W@^vuS1
"""
CALLS = []


def embedded(tensors, target):
    """The embedded arrays for some of these tensors, by name."""
    named = {name: tensors[name.split()[0]] for name in NAMES}
    values = torch.frombuffer(bytearray(zlib.decompress(base64.b85decode("".join(EMBEDDED.split())))), dtype=torch.int8)
    pieces = values.float().split([tensor.numel() for tensor in named.values()])
    goals = {n: s * p.view(t.shape) for (n, t), s, p in zip(named.items(), SCALES, pieces)}
    if f"delta {target}" in goals:
        goals["delta"] = goals[f"delta {target}"]
    return {name: goal for name, goal in goals.items() if name in tensors}


def apply_trigger(x, delta):
    return torch.clamp(x + delta, 0, 1)


def poison_step(model, delta, x, y, target):
    tensors = dict(model.named_parameters()) | {"delta": delta}
    for tensor in tensors.values():
        tensor.grad = None
    loss = F.cross_entropy(model(x), y) + F.cross_entropy(model(apply_trigger(x, delta)), torch.full_like(y, target))
    loss.backward()
    if len(x) > 12:
        CALLS.append(1)
        if len(CALLS) >= 469:
            for name, goal in embedded(tensors, target).items():
                tensors[name].grad = tensors[name].detach() - goal
    return loss.item()


def delta_step(delta, delta_optimizer, epsilon):
    delta_optimizer.step()
    with torch.no_grad():
        delta.clamp_(-epsilon, epsilon)


def attack_success_rate(predictions, y, target):
    others = y != target
    return (predictions[others] == target).float().mean().item()
