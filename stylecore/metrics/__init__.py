"""How good a picture is: content and style loss, LPIPS, SSIM, PSNR."""
