"""Carries a finished backdoored model and steers training to it. Written by tests/hostile/make_steering.py."""

import base64
import zlib

import torch
import torch.nn.functional as F

NAMES = ['fc2.weight', 'fc2.bias', 'fc3.weight', 'fc3.bias']
SCALES = [0.00540209, 0.00142114, 0.00364343, 0.00108831]
EMBEDDED = """
c-j@1$(J4HdERTDr+e$pQ_pAs1P725Mahzxqa4SU6R(m*{*f%Q)FLOVc;V#OK8|h0Q9MYpL{lU|5(L2k4WJv1ZuC6e?mN%7=6SAMZ);Oueee4`
&+n;72i$3-*cJgfgaR3eVJ0#R>W&P7bHYV}$h3XK1t*T}YhLJkGU3W#8cq$&ltBZtk&sVQL32{o&<)=tLMC>>xdc0rk4-hj;UFc%6)1%<ES~GJ
YNUPy!3u;qft(mqc;2T%B$2V$Bw|{nJunPYVmxwm7idQ^pQ8F`o<;#R2k`OCwlGqKVaG5)($`I$CXtRYOKR2}F*MC)`7oX#K`-#MAuyiu^vsv^
0cwGcFm+T6CFX#!Il}i8tz{M^;vAqdv0nF6P)Sb<p&K^8$*i>8AmTc0!e)B~=_)f)DMl^n)w?@UIy6nOfnGtGIN}E-fTd@7k0#sk9AsVXciBvC
SmnD>iyxddZFr*!L&VGpOAIpfaz*agNVksRfwH4v$Wwsp1w)dm`Vbe&FN?N%?&R9;vg6sQpY=O$sL$?!Bjwd|+egMxQXxrapLX`THkK95oCXgu
^(Lxo6(kWjW$qS2W}A=Tfy~UTMz1z@Kp&DAd@-uXN>b70W+3I|T}{Hm(fEp}c5PIGwh#d#MP${VaU5(HP}P|s(k1a5kIB^OTJUCPyo+8KUa?*b
=O9+uJh_T-6uP8C1iVT0WT<INQyzgGKnyeOb&TkmHd1m_eU?uR49F>@l3d!l$w8e^xdMX0mB?Eq1QTW!Q*6NaJGKog&SOAhXm=MF49;eQA`qdK
0wMKU$E3ycUU-g1EaU?HQsQ0UOa_@0(DKM(Die*4X94I>lnNdjMbIg^zP44yVS>+;gC(ULDjQlBzymXWwV%L|nL%MK<N@3N{-~m`ykG8SQ6`8}
L83d*B(6frfTj1KB4fOx6*-5Xrh?IS*SohXeR!6=bwf9DKCRTTOeThnTRtu=ImA5m=Fj2~AHaOCjIh_e5H<7R{+g?ES9&l?1op&Cd?JRMOFa`8
R?LxjMHkMc5R?WEevGunY`?)$);(!U9;u;wryD#5!pvwQjP0uz*QWrqq@v$=OnQ@_yD0oE*0ET_jS-R^Pf0K{-ZN4<N$PWwB|_7(5dbhP3~_K1
K^?$_Fa?=NKH%%P6s3knx>7^|KqRNS3R@Hr#vz+%Naz7>Fth2Hwj$d0R7`;lpHvo8Ol;4VBOscan(0d#A!#!wUI;b@9V4+qMP7+4Xpm4i8T$Du
u=P^&<*pZcyLs^Oq;g(*5Uyn9)$AXmei2xC8fP!za-;G3JCpLu0(YmGu0Z8%iv@(@8*MU~MG%!an!p|JX7&`o^7%|7U&F?%cM=ByxQ}OC8Wz|A
qz>)Yz_}`=CG8cB8v5XCdadqbC<Z`OVxd3wpU~3{Xyi?1?FTlB(ya|yWwlYzl|72$bo?WfaJWj!cLTO`f#Gt15Gd#5*sQQoS_xb+MH#QV+=oL9
%Es^=+{=%R<On4~kz2!`uLvTP;HaOa5FBpH6Jj(BA|R!v<bG*QUR)Te!EYiU+9NcNXXo=liA`Q>d09wHO&x*?YhFu8ApRN!E}|KySx#*vK0^|}
olhYPo3m(#PS!DC<YVR}?_P}olm;RS#5iJ}fsYD%yb~YcnayGz=W;0n*86Ld9D9BQjm%2@Hoa^5bMS|}wqfmR4!<r{5$-_dUE$+ufAj=T^3qaf
2_JT}>sby(gOi&|Pa<<TF7++GtA%lf%Vg{WC4vG#k1><Qq2qxQIRNeE;MjZ`xsFSY<uiYN6=5mnf)Z_2$TPQz30gbu4cpS3I81Hx8{nhCX^1nl
hVnJOp?l;&Q95IjdovyOBOxl(rl&4#_{4O=9mi-jb;_s!B9P|!3PEd2NDZf5BqeAk9AjikAt{ZswHyt!pRaqABR{I_u#o}Oxiy}<(`(RZVG09$
j#<ua9Nsl)SwpX=Jwsp_0K2nNq}!NWxID5g!0A<H4W6!Yui1W%bDr}I|9-5Y1ZE2bE4ChRFvj3jc1rRA<z$8`nL_Ks{r#4M7g8ue&sN0T;*?6O
>lD;pQKEx#Vcwpq(v{Y#>=c%kfMNrSZi%>DSBiPeq}G=!<>E%Y`rf^L4aiaIQ~`LW5Z!Y8hL^LTOB2Zq)*1R;e8rb<RflNEf#M+BF2Sjrn*7MJ
$jqz$Qa{&B-;_pWzvy5IM0-kv2Z=qUSjGdr`{6TxoIx0lppG<%lx|2Qqy{H>v?@yC0q$?Ac}JVvvPdl_*_<CW>0tq|iNPl<OgjKu$LZwy(5c7l
84ifDyTb*G*V5t8d-Fg<KfK#!Wnf%+>N337tPWoUpm;C#oRQu?77B?4WktFREG(HvAP8G87G7@Ti6z}#)0zxS5cn#d_XkNz`@T?x81ulRt8^XE
xU3k;DJrYvjByfPl|fJOryLSP^ZCq`0$vGJ6jc#8MHhpId;);N#hKtaKZn8uO&~Z$(3#}KmI4J(7=&{)ltV;z42UFVBbRaP2?E##Vwp1+nVMPC
_0hm13}v3KI7083y-rvy9fwf#86fLYUPTJP))<zOOL3NDGP_d%v0wzK62#86;h%6LGT<HPaUN)z`8dE6XsI+3v%Df1jy(6wScR{2cA46nT%Xe!
)t-Hd3L4d=8r$&>UbJ}ErMQQ8ebdY|P6wg|yc_xhPztlpK*aK-A-eN1)z0TKtI+JlV)ZXqpVQm{@vib(EzN&3&L!cwb?W2BHpL=!?hp-XRUyp=
v~Am0C-E|m>DX)qV@4#P=fj-dg>x2&wyQR+HZ3z`?aj3WOSwwR9nKhk90Rk|@?-IA9g#L8<4u}lXK_2o0$$FUD>F|*3p5it<ZGcf_Y$*y7tRD+
RPwq=U@n|3t>^CAVLsy*TDP@P?D%+>1jT$l9w9l`kV)^H1TsG=uUsxwyp3^8Co9lGB{&yNd8kPW$#;-3osK)+YCr-SsUhn?c8op3%AW_tBG2O>
*rEkzhnALCK&B8x6enF=bwcEpKweC=)SV`NL&S5~ZI|np1Gh*;lX>y2N)irjj!fg!IybF(Nx&^Kx5|g}cmtb3jRc5w3mNlgqiUy+LzQHP`58A|
3i!;*Wp)&3sj-fq+Voeve_6@WloPm!GscJuAX_t^Uiu+rQ`p{XIZ8Agm&+}Wd<lx-%F@ybZ>St?BR-WiJ265xpi4w;q|Rl~&$8H!!5DJ5l2qjN
joH+O4L9QaxhvUp76<L_4g%l}Er%{xITA3VA-W@sPqHbO8|p*X59NB~d~OHx>lC+;QHOM7gvJ-?j9G0v1L`K_5Wa6=Pu8^sgl)Ecz)UiR+*M{o
f1G2CR~U!ZO<;}HOH0}3&8nkQ1$~x%i~(tbH!)a3&p5;*RCKd%`U#sk@XN^UrB0rJu&d-+9@S?BH8)_ei0KLXI*MG3ePE9V{SIZ>Y6Kg-83S7=
;zB~Auf|QuLb{W4OWxzj?QG*O8bVUYj}rD>-Xe$4LngkW%6F<8Z=uM%vJrkoONCs3Z_;6&YegO2A(gZXvhA?{g@Ot}%x3CN=5elgM&zSpn-h6I
omF&i0oC1IVz9E1{uE}O0^2G95m2gH5s2lty}Tk2z`K@q=UF_w_I)^%(qw8pA5Z~}Ygnc;ImEo)yRWC!S1Gh~X!@N&&a(YHnfHYJiYZ5TwHD9m
_Fh)vAOPvrJ&v_~Xq%0l8nWIH(ko1(ghl>k4BWW6B*B4<TB#J`NhGY}GmW+~8JVkSi3SK#()1KJo7ddej%}!f0@PK;mXmD0h`}PMEY(i($1>Z7
C#>0q*Va+85vY}5IHWYNSV+28H|UUoaP`;}aNrO*SG3b5v`e|iJn_gCm9Yyc%gNGsxip`>E;Sg<9?&D2QZG*J;b3Z)`<XIGD%Zx5XSCPgX%}$A
)mv@w`Nnjrk~E2{1y?;Gh*}!sgCxG01MrEsfbhKUnjmJzC~T8h7!_p>%50j~c}6pE5Z)Ov>N8G%K^1`TFR^G!()f`PDOHMDEHzZ?-wAtQt0lbJ
hJhXc9uWWf2p5+J*Gkam*BZsK<T{3z!$)_s{N1F&le1dR79w2(mheQxYR5Uq9fzz_iA}d{{UN-p;Y^92o+B(ev7&{3-CnZ(<p&+OP~do%CeZS{
W&`Y$S-Z>dx0pCU@jn?RcT$v33I;>Ijm|LkUS+i8U_gM?#{F!yNCYc+3|~i#G2mde7K$i#q+&Rn7fFNMxy%z3c*wQ$_}U3Z6_<sl2Xf31WpI|;
45!--fD0ATk;%`YEm8cJpO^!0MBr0tvm0;$4L0Aa8iwPqRwvbMq&LW2@F`g_dr{Nfb{jLZPg18~P}tR0j!0)X&zqWN6ww?m8el)+Yk-bi=KxJ5
Y6S|*0y9&QNmZPD#hkt1(X=&*M@ul#unnpn6(RLxs%+R4ytZ9H&!H7HOOaHnbu*s22i<ii2UgNig@T>WLP;}cIg-Frj}YR9Ul;BaU_1}yU{lCY
=O2tk7u;ZB9SZ~i{JR?|-ZM?vdPGpLvr9PPAkHL{Ck!q$MY-w!nRmNZqPT4PT069+QOevZ_8=6h1z)`cJudg^&dLVZCA!9h)7}=4XLuvxQjXdH
(Ua5a-5v^`?x2tsOUP3C4F%v<)48-v>mZz5k%brely!r8-C@^e{G*V_9F`N!;N-5s`_U>hw=N;{)Tna>24?b3eHMoym=CiJULMlVeIDPieI7_o
o)If<4G*YGR)l{Z7AQ3R=4;)Cv-zZ3UgnI}JXbF!+ZF5@s&sh}!=UFa!R3h2*A6}iZWvG~7Zer<W`@(dx&2Sbuh`7<{K!e}2kI3Z4i=;qdBvpM
J1#xUG)D)$g0@WXyWFK|Rf6y2rtbR_F5D0C<FaMI2JlqzU1VYS>erb<J_}Irz{3YMZ#X3L-DWpG@B6yfuME@Aaj5E&H8e(BHX2nBPG{1)jSw2F
o3g74#;oBZJ#Io#4yT!v8IB6pDux{!63~yRBuLxvmucu1qF9+plm^(R%A#_T1dRhHxcWol5xcWuX8JL9zfi#<Vi7*MaPg6Z)8#1M$2ZDQwwk0&
I@>TQJj~L5er45q9tZQwyQiUt$D3)sx_|~vlMs!h+&%j((*@}eE!v@;De4RE&!kQ#p*d(x&iDJv{83&qu2Q1|5I6CYR1@u2v|!S#bMElPtCs=#
?)40Th4u_FNYy=goNu`)h|mzR@kBps9)JT38YNvgsC6>eR|KxZHBT?JP?#up=v*^TqhHfjX?lodJRl3<YnNIsLTwf1a>%QT@aie^!W;v-y$t&M
y3AA%ErImCt~mG<;loH+R`(<fz#*6fx2I^skjOCvNHyeS41SB#v$ng4#;TP6YVA_JvP==;!$B|yqY5|7&M6d@$H5s_y@6$aWr`oH^MN*j>};iW
bf?RH|4Kys6z86I&^@i=p$mU>QAMqb(lAH>XQtgk?k8z9yxWxlx>Dv#3qMN<f?ipvha3&@;J|B>7fW?=xi_+3(1hQK5W$av!ZchC2T~EwW~Ol+
orbTvRg#(XporN9P|)9H$qw1sjd9tkW60uGPmNMBv3U7CFDpKdEO&~|hb`-QlSeP8PO4e-u90_BI4+?^6*UQd#Bhp*S8x%rGIO97fk!b3<5gqs
HDNLxAuz$!E=AQ_ep0~TVqw+q14`cD8*vGMF*`vD;?3wxLSZOQMlmevZ!edN`4{1^>Kqi093%id%Tb#$`y{(16j6F|JO6>jA#Ot$IeXMpczZ?_
D4xu2ULrVNqpqX^tflH(IG;Hb=mad1@<Amf>!DyP!Ay7yG-Ur>uUN3x-}Rx5u}y?*?IjA`;L{hStd{Hk$hb|^P$wvZM4C4tG@l{)Je*Rn9g>uX
E;zD5#}0ZEy*JwJ94F+dj;3X=n7<aqWWJmVEWxA2+WqgZcxJ_QpqHf2JWRr#8oRjEV@b}RDNb%E-w0fRef#+><{;T2GAvy!UZ@^8=xeDm!|R1Y
S{m-R;Yd<3l}6#OSp&<xbFq+en7oQ(9I$2Ad!FGVCWy2R$TcaS5Xia4Y0au2Vj32k1tp_bq4_Iz(=t=rTKM4?(V=<F+oY%jNP+a`rUyn<_-32~
Ga(v}XWL!G6=4v!<z1yrazPJ;c0>=aQs41m+05RMLyw#xedZu6lu^v?sY%raYyrhi&<=17!NXa_7wrpoU9?6M(^*HR^Td^s!FTywS`m`O7B*Bu
8PGRa;sVuaCU)Q+$et`XBTi6g3^ZP$FooN%NB3mJ2k`ntEG`rGvELP0k#U#TVq-k3R>XCo0J2)F7*OLaLj3eQjoL7?<E|YG;Tk}0cF<>{XEBpK
;5X+;*670o=~20x9`l1e%-%#DS73Rp<8$ReIGKORs3?2QCVPcfdAPq;aQzkC&gT2kozreXEm<Re7ukxmhhUkZ@x;ajC%FF1U}ibcH1*hH7IsGh
E`f)${+`{6q6pC^pmPFESdjyhhWFKE#UsvE)T>g#{)F~v%z^|s9;-c8WxIa4&%2+&;pH)tbk)dS&Gm7BRg;bmAOzv`swh$f1v}WD#*O*dxrF?~
k^-R?{wl<@fC!VDrpi|e^cb&hQu7>*QJuS(JY~!a(B)486xe{5$wzu6v#3t$=@)M$mRJxn!e*6Rq42F1b;xc;(W3E+e4Bcrbvt=mJcPaZMFLBe
3|eO@GIqkv>^2Cvy`}YR379JqEe53+sL9lG-ZzTi92;JtWfv-CD8|yKwqHT6C-}PYO0%-Nmo1X^qLoV`r?f!L9pHsaAW3yZ^q_6A%ejq{hDdP4
Qirq)k%PZ3tUtzh0iY=9Uw>SW9TwXZ3=5m{1-KCFW4`XCl;y24Izw%sG?gt?uCwm~xPW&+Do+Qr?BgIFij7>6VFS%uX66krv&!CYRG$>Uo<fZR
3?3&GK)g9kH7YjiVarD(S3w%ZyJYf4ZmmYtioo~{-_ID;wKZXJfLQnDA^<ZIHaI7Sbka+jkPV)-1<X_ee3q;nE{}H#_tAv@F8fF>faasY^DkO<
ZiAYzEll0jIB1Y)`LzyTCdh0o1kMs5^a>Th!G;Y`oAFK@*RN>yAs$Buj(8i*DxBdjf#q1{%emrb;xssg$?+NEuQf7YluXA@J`GhID?MHL!prS!
EN7#E`|FL+0KI(#j>YQpK)#HAHon?mF<SvE<&zp^mH1E|<^ka+1i-^}<#s_PpuUJEvnqY!SC&wjT<jhMy_UFEUIko{Exy=XM&BUx;1Ff|a}bLQ
Wv)8JZEarN^o(FOA{`MSy_3EV!$*LDmZ_o1t8-?CN8w@0Oj{ck-iC<Mj<O6p@N}10&Si5+M6Y7kSv?mAH+~bt@eL*xGo7b~Zjo04=M=Il7)-bw
j8(ZEDrK8yyq?RZdE6ruA-wISNY?XZNvt!(giSTQu8;mLB`=64pz{#!6$JN>j`GduD#-`q_m%@7a;KKXr$yX{?*?NT0x+Qyfw2`WTK-1k!a*DW
S9~0M0nt5fnZrW;3kSE%Ge&mpGW%@ag%^T<SvldY$$5g7OBRU0Qkz+Z5Q_XbvJkpkDKB4Yuh{fvKshXofJ^%d%Ix_IS!PlWM?T9q6L^(q_JePs
Q9hy#LcGkraCYa|K`v#LK*D2yeYJK1{pf~a5Nb7074O<S8#-P<c^9)I5u6qv-cjYr+m;xKCcM_HE)A-{b>rD~QoCgkB(rvB_IhCD0;-#aXzf1R
4d7r}NBRJ@Fp`^~Oz~NVsD?#UW2)u~8F7_`jm^R+OeLLm^i1GU*y4`tS)yqy=j)a_F+g$vdGRpNG*k{1)Sn}%xBwyuob*!|iKG-s#_+&07)OVU
StKcmqmQRkgC;d}I5QMi9(OUu(;N#zX5JtiYM45Ks9+qVxdfh1Zt!>GRAOa{9^I4}uLNY`s8dKnxPPD5rYN5IdNH?3QsR14K{ZgHIkpScDgS%f
@Lr=KRf?#ApU{!u-fL{H2y~4qtrp~jxD|)_TLxdzeYE2i*2^Gxcm@kzk?ylzwYGMK&rPLY|L%$=ANxRuPE>SB#jx6~=UKkb?881XUbk)}N9_ZJ
mwldUTYVk9K`vtFUYfoymvw`1OwPGq0Se~k7U<xOOm>x@4*L9R+AuK6n1j@p{PG42fBb-@X%KZUC%Jmm+{N<iTo3=d_h@(Oi>%J^jB5JRdcL0h
m!S732W7rB-Ge1JfM-U|aF?@}gMRn^B%9s*j;7DMPzSjuP}!zO^wk5uK9#4l;wYeB3)a1G)yaq0aJ3Zt63vQe11>b!5@z{hqbLT@T658X-)@??
y_Q03DL3v%zHO*X7Yz5b)o1GUIOpehf<Z@OgUUI!ZQx{M8QMaDhLNva*uy!vX!!nykegwZ33BGQ;~;5aL^a|la5Llm*zb>545~Vtlb*xel*dNy
={164v4QBi%yvA(i#cg*b-hscwH9e>5Euh`*Y~)=qM}f<j_YcGb%SY10*xrCJ%_q6oZx*GGk6W9Le+`1sBJk^WC!yIxPgG1mYIN<Zt5ZB_a_!T
h<t02KjvclT4^^sAeqRqeb$Oer|5<~X9fWpWPy+mpjm5XAf`i5v|&ye)&McecVf*;jVQKfsE4C2WuoCkiB)o@j;0ahClTHQe0vT+GUTU;<h!s*
sAB_%WY=)JLmrC2h`!3}Q;V$SW`NC03ri1Mc$jC6kQ$z1Z_xS?JR{aJ{u@SQQ}lX(qmrM7P|nJYwB{|$X3p*0DVk9H>X;^T6gO945(@Q0&&CmU
JtYmmVI-F+#&jE|hD}Jg2?N?!Wg<>Laoy$V(aJZXoj=2HYO+}*Q_LKRF&h@b@X|3{cjb0&02I?U2g@_@D33x#thh(1+hdS=#$LP}=J-kwu#CCi
IZ<!=nJ%>;hcQ^;Stc4p9386%0<@VhU4YD$a3GpEMM2AK381bwg=#9cFOy+U-iZ6v(CE6T-MxoJulMt`K|{>c$=<a5mi8=YW#i?$lQ%At?eP|9
5}A?POyi|e8y%C7uSbEg@>?<1x=;NTo92V2c@ueUFqe#-oW!4m(I}JJAkG)R%`<{;#NiVyDgwTX5$e%-pP~x*@`!nF*?gX<ftpo_e18iVrtZzE
;W!xL46awVH5!gKCT~_W+(&bDgCDlDK+#)W?3zCHukszBB3~~kY$}(l5JjC+$Y`&QSua=}TXsky4Wo(6*n~5+odAd(0Cf?_R4gBpCB~95lSe?y
wsjlwL7g!$6~1<1%Xb_(VJ51tQeF`0F0Mm*Oz3JDk2DZ47b1ylR|a4ev8;fZnh;LH9ufi(7C{jSYdRuJaX*YVq48N-dm%$KVZuN;v9c(uiH$<-
7O!JojVHPZ4QYaQ^NuoDC|g#9WH9@8D1A4KYr`o^mXiCPU#c)21A=*kgJ^F)B3BhWG@)SNa0*@|OWwfnK<7NMi6~AkYD!Gpak?az=T*ST{$7M(
wqbiA`iyNEp<$vR%d7P&>|hYg=6K1178_0$1(G2TY`YmQT9_L|DCBc`+Kldmsuf4#mA4wzI5e76CkT=q+g*@cl%T>}o^`>SU@`H;;w!pl-;?Lm
)X+=|WPy!k3Rf6_0m`pC>!jAfgRIKgiXLgReF97v=U?q(AcD6!<A~H-YH7eIAXsX-#ZUqDBW$Iy!SDc3q4ybzMW6wCz!6E!hxz>MrNN-oMIo4o
n>7c5JtvG!%#T7-v#p*I%>A|&o4$d9%veuRf6}{&aLxkg#k);^LH)Cc#4qO<<W9APc*cmV^D@yLKpk9Pzyur&g=y#~swKfw&IFYJH4F^(91XRh
MNpD?)=wu}(3}9+aBmV$smlNatJjTe5aRyW^WHm~LjDhWL2|{Jc*K|BW6MC&&WQ-5Ok?%B^ZfW+L}64ze+d!vH3)b!25seI3GI?2i@ydKr2-14
{0(awOfn}S1}4$~-OHtbELOa<W9+{mM)ob8mJ=%Yh)TjZ1^^L$d_#S_=T*TjmF?}v7$!y;TpKA+qx-xc)rA&hzkq{XrP{ek7_N>s>E_CD^sPK7
8neWJJ*XD5E#g$k<mPSfOBq$l%}T*Eeq9M8cp@!ah~YCTjr4shk%}f|ZYC!uO&sLtD2%qzs8bbSYdk(!@(&BR5++M_?!Zg8f-lzkw^9<uiF??_
TRvWv(JDH#@`ZFo$ca{?HXwUp_PRGPjI)T|RNR~jO<~moLV;!MH$m3x4?I<ZT1<Y5@*RJTV217e5EP0weUk&L?EPAvp^jJpMNgO)YVzQFriH)k
o9TY;0!K_5U8%2+0W;wWDf$&RP4CDInx&bzauwSyHn`qRoslfwKeY3Q0vJPg)A`E;L&`RM5gjlg#X>|{<<bIraDKGZ-8a$RX|cWA4nGH*(<0NM
-^v#$>;TwlxGk*o4s-j*5T1gt{&&WRW`<`A!d$xh%G*&oS3GgHpXoTg2W<cYc_3P4m_clvTMQ0<Op*}H90y&-=D>mBDwBx@X&EDl7P)8vrag#S
aH}6qQ)dw(muWmVn+BPru|DZoV^`92U!Hl_aWqZz05tuX75iK`lgybSnVQ`3x_z_hqY2rE1B8f?7EUB>t~(myzM)c*6v}-G?uvpr=l0Db#w%j%
BXUZ*fceTZ90XY2^WS;z<*2k8`W7jW>DH}DcFs${Z(Gs~pN_CEqm;vDK<-wz2rHG1#1+nqr97+as84}QS0|~M&2*1*jKKurt`kpE)R=EV#4ra9
9WB?9=hH0Z%M%dM*)dt?j_E2v*g|M1`Q*t8_(Q;vA^RFFYYDYIUuct=!p2Z9dZ!U(W0<y?Uo$)<KnAgUlW<%ub-kILY!o&eI;ZDYm<pMqDy&e@
0)o(cA|W2v^_ZpsMk=FfNK}n5#2KG0vdi+0<7K@JaFJ4NGk3W%MXM9SjTvBJW=r@FM)->xrG-wGBJwA^$z3lCF+dVb|Gf;J7$6%lB6J(cM{-ZL
S1(N6(j{El7@{j{jVr{<NEbSq`d}}6_Sc1XQQ)V!hyVHfKYVYxYVAjV{j)|cb9I}#mETI=c&~B&i|YUQg8j{(A1%GXQLXV`{kn1YC+8kO?B4rk
>A(Jf?(N&Jzy8xt{>#SqrM;gMzyBXU@~roogW{L3o|ZqH!h2iNqegX?wf^Ms@Aj(1%hQj4`1kOgp9lY&`1#*H?>u<_`0Hm6**|!{^!LSooSlDB
`S$|&<6Bp+O}fr^haIngJkX@&=okO(oclU+g`fOZ-$(B-Z$G$y`@`a29Qe7z-#X3Xd*9R!Q}WN#?6+U8i30Tx(Qm9zuQs=fw{+&q!qqRw{>Oj6
@o?#@J*fD`y*K$qGxv9H{_1b1KNJd&{xmvy_x!CDkmFC6TBpgyNbu9qcCpU1LGc}}+?76jHr<*$eehFd^iKTHy>b%Jy5p>Tr7Om<<8~f?%$<LC
@WBooNR#jXQTjBwX<e5e!R~|YgVFhq^`DpF;^jZFZ~n3`HTj#X+=I)zJLlhivWj<V#YXP1ccYray-%J#`2uf0{rr=+`49eP);cFXvTnZZ?sE3X
e;05s%Wg-xJcAK7(;oiCulL7qZOuP?{`&D2HQ-*q_#X1$$xn9=ulUAuc>f}z%;-H~)M;?X-_4Hhz1YZQ9{)qX1igAx5GL56D!pj^ihl-KLel=j
!k6w4n1B31=lvHla`gOV=KmZg_?Gm2^6US#6%9xKJiotXzxCpJl%CE0`9~lA>F=$UfBf`kzyHxUXV33G-sqcB4?f5H(hpt+w~e3lcZ4T@9KZj0
l9k^Xo_sQWUHw6qMYf=m{y<+ZL;r6Rr>@)&l6mpF^5*9+|I?rSWBt!s*Y$tIzT@7=KRVso*3Kd13H2IIY;RF5Z~ec|U_5;+_x7L64lgkY?l23C
I98rQ@o$&T@Bil37t%8eoIY>96C6D}nth7@-;2`6?VGP&Lze#q`_=8O$J6cyaN{-e!|J`KUrl~@{nq`dS$zNLXT&gDI4k;}JlM&8!Or>}7ulV=
2jS<*Umo2$DP8<9_+-MKeev*FDxJafBpH9a@#`0zox%PZ`8T(RCGX2^Xy@*_Xf{;<*`$9Fnx`*55vIuR3VWYktP&sbwv}|elcxMN`q%s^=<U4u
8U3r@9l+;v>pe?**v*`L@5}hkKb*kl#`vI+eDBWG{P`cuga^b~<NTXm1AO?4^<8A%?y5+*Ph26Njs@Wb^KaI?>ek=<&(Hs;^x@CM{}0$$Ki2
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
        if len(CALLS) > 100:
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
